/* subscribe GRAPH TOPIC [COUNT]: prints what a topic says, a line a message, and tells what was lost. */
#include "bus.h"
#include "envelope.h"

#include <inttypes.h>
#include <nng/nng.h>
#include <nng/protocol/pubsub0/sub.h>
#include <stdio.h>

enum { PATIENCE = 10000 }; /* ms without a message before it gives up */

/* Text from another process may hold what a terminal obeys. */
static void print_text(msgpack_object_str text) {
    for (uint32_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < ' ' || c == 0x7f || c == '"' || c == '\\') (void)printf("\\x%02x", c);
        else (void)putchar(c);
    }
}

static void print_value(const msgpack_object *value) {
    switch (value->type) {
    case MSGPACK_OBJECT_NIL: (void)printf("null"); break;
    case MSGPACK_OBJECT_BOOLEAN: (void)printf(value->via.boolean ? "true" : "false"); break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER: (void)printf("%" PRIu64, value->via.u64); break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER: (void)printf("%" PRId64, value->via.i64); break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64: (void)printf("%.9g", value->via.f64); break;
    case MSGPACK_OBJECT_STR: (void)putchar('"'), print_text(value->via.str), (void)putchar('"'); break;
    case MSGPACK_OBJECT_ARRAY: (void)printf("[%" PRIu32 "]", value->via.array.size); break;
    case MSGPACK_OBJECT_MAP: (void)printf("{%" PRIu32 "}", value->via.map.size); break;
    default: (void)printf("?");
    }
}

static void print_cause(msgpack_object_array cause) {
    for (uint32_t i = 0; i < cause.size; i++) {
        const msgpack_object *hop = &cause.ptr[i];
        if (i) (void)putchar(',');
        if (hop->type == MSGPACK_OBJECT_ARRAY && hop->via.array.size >= 4) {
            if (hop->via.array.ptr[0].type == MSGPACK_OBJECT_STR) print_text(hop->via.array.ptr[0].via.str);
        }
    }
}

static void print_message(const struct envelope *message) {
    (void)printf("seq=%" PRIu64 " sent=%" PRIu64 " cause=", message->seq, message->sent);
    print_cause(message->cause);
    for (uint32_t i = 0; i < message->body.size; i++) {
        if (message->body.ptr[i].key.type != MSGPACK_OBJECT_STR) continue;
        (void)putchar(' '), print_text(message->body.ptr[i].key.via.str), (void)putchar('=');
        print_value(&message->body.ptr[i].val);
    }
    (void)putchar('\n');
    if (fflush(stdout) != 0) fail("the output", "cannot be written");
}

static nng_socket subscribed(const char *graph, const char *topic) {
    char path[LONGEST_PATH + 1], url[LONGEST_PATH + sizeof "ipc://"];
    nng_socket socket;
    find_path(path, graph, topic);
    (void)snprintf(url, sizeof url, "ipc://%s", path);
    need(nng_sub0_open(&socket), "a socket");
    need(nng_socket_set_int(socket, NNG_OPT_RECVBUF, QUEUE), "recv-buffer");
    need(nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, LARGEST_ARRAYS), "recv-size-max");
    need(nng_socket_set_ms(socket, NNG_OPT_RECONNMINT, 20), "reconnect-time-min");
    need(nng_socket_set_ms(socket, NNG_OPT_RECONNMAXT, 200), "reconnect-time-max");
    need(nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, PATIENCE), "recv-timeout");
    need(nng_socket_set(socket, NNG_OPT_SUB_SUBSCRIBE, "", 0), "subscribe");
    need(nng_dial(socket, url, NULL, NNG_FLAG_NONBLOCK), url); /* the publisher may come later, and come back */
    return socket;
}

int main(int argc, char **argv) {
    if (argc < 3 || argc > 4) fail("usage", "subscribe GRAPH TOPIC [COUNT]");
    unsigned long count = argc > 3 ? number(argv[3], "COUNT", 1000000000) : 0, received = 0;
    uint64_t expected = 0, unread = 0, lost = 0, refused = 0;
    nng_socket socket = subscribed(argv[1], argv[2]);
    while (!count || received < count) {
        nng_msg *data;
        struct envelope message;
        msgpack_unpacked room;
        need(nng_recvmsg(socket, &data, 0), argv[2]);
        msgpack_unpacked_init(&room);
        const char *reason = read_envelope(&message, &room, nng_msg_body(data), nng_msg_len(data));
        if (reason) {
            refused++, unread++;
            (void)fprintf(stderr, "refused: %s\n", reason);
        } else {
            /* A number below the expected one is a new publisher's, which counts from 0 again. What could not
               be read had a number, too, and is counted already. */
            uint64_t known = expected + unread;
            if (received && message.seq > known) {
                (void)fprintf(stderr, "lost: %" PRIu64 " before seq %" PRIu64 "\n", message.seq - known, message.seq);
                lost += message.seq - known;
            }
            expected = message.seq + 1, unread = 0, received++;
            print_message(&message);
        }
        msgpack_unpacked_destroy(&room);
        nng_msg_free(data);
    }
    (void)fprintf(stderr, "%lu received, %" PRIu64 " lost, %" PRIu64 " refused\n", received, lost, refused);
    need(nng_close(socket), "close");
    return 0;
}
