/* command GRAPH NODE INPUT SECONDS [ID]: tells a lock to open for so long, and prints its answer. */
#include "bus.h"
#include "envelope.h"

#include <errno.h>
#include <inttypes.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum { DEADLINE = 2000, RESEND = 100 }; /* ms */

/* A command is executed once: a repetition bears the same id, another command never does. */
static void make_id(char id[static 17]) {
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) fail("getrandom", strerror(errno));
    (void)snprintf(id, 17, "%016" PRIx64, random);
}

static void pack_command(msgpack_sbuffer *data, const char *id, const char *node, double seconds) {
    uint64_t now = graph_time();
    msgpack_packer out;
    msgpack_packer_init(&out, data, msgpack_sbuffer_write);
    pack_envelope(&out, 0, now);
    pack_map(&out, 6);
    pack_text(&out, "type"), pack_text(&out, "LockCommand/1");
    pack_text(&out, "stamp"), pack_number(&out, now); /* of the evidence: here, that somebody asked just now */
    pack_text(&out, "id"), pack_text(&out, id);
    pack_text(&out, "to"), pack_text(&out, node);
    pack_text(&out, "open_for"), pack_real(&out, seconds);
    pack_text(&out, "reason"), pack_text(&out, "command.c");
}

static nng_socket connected(const char *graph, const char *node, const char *input) {
    char name[LONGEST_PATH + 1], path[LONGEST_PATH + 1], url[LONGEST_PATH + sizeof "ipc://"];
    nng_socket socket;
    int length = snprintf(name, sizeof name, "%s.%s.commands", node, input);
    if (length < 0 || length > LONGEST_PATH) fail(node, "the name is too long");
    find_path(path, graph, name);
    (void)snprintf(url, sizeof url, "ipc://%s", path);
    need(nng_req0_open(&socket), "a socket");
    need(nng_socket_set_ms(socket, NNG_OPT_REQ_RESENDTIME, RESEND), "resend-time");
    need(nng_socket_set_ms(socket, NNG_OPT_SENDTIMEO, DEADLINE), "send-timeout");
    need(nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, LARGEST), "recv-size-max");
    need(nng_socket_set_ms(socket, NNG_OPT_RECONNMINT, 20), "reconnect-time-min");
    need(nng_socket_set_ms(socket, NNG_OPT_RECONNMAXT, 200), "reconnect-time-max");
    need(nng_dial(socket, url, NULL, NNG_FLAG_NONBLOCK), url); /* the receiver may be starting again */
    return socket;
}

int main(int argc, char **argv) {
    if (argc < 5 || argc > 6) fail("usage", "command GRAPH NODE INPUT SECONDS [ID]");
    char id[17];
    make_id(id);
    uint64_t began = graph_time();
    nng_socket socket = connected(argv[1], argv[2], argv[3]);
    msgpack_sbuffer data;
    msgpack_sbuffer_init(&data);
    pack_command(&data, argc > 5 ? argv[5] : id, argv[2], (double)number(argv[4], "SECONDS", 3600));
    need(nng_send(socket, data.data, data.size, 0), "no answer");
    msgpack_sbuffer_destroy(&data);

    nng_msg *reply;
    int left = DEADLINE - (int)((graph_time() - began) / 1000000);
    need(nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, left > 0 ? left : 0), "recv-timeout");
    need(nng_recvmsg(socket, &reply, 0), "no answer"); /* nng asks again every RESEND ms meanwhile */
    msgpack_unpacked room;
    msgpack_unpacked_init(&room);
    const msgpack_object_str *answer = read_answer(&room, nng_msg_body(reply), nng_msg_len(reply));
    if (!answer) fail(argv[2], "its answer cannot be read");
    if (printf("%.*s\n", (int)answer->size, answer->ptr) < 0) fail("the output", "cannot be written");
    bool taken = answer->size > 0 && (*answer->ptr == 't' || *answer->ptr == 'a'); /* taken, again */
    msgpack_unpacked_destroy(&room);
    nng_msg_free(reply);
    need(nng_close(socket), "close");
    return taken ? 0 : 1;
}
