/* publish GRAPH TOPIC [HZ [COUNT [announce]]]: publishes Count/1, a type of this program's own. */
#include "bus.h"
#include "envelope.h"

#include <errno.h>
#include <fcntl.h>
#include <nng/nng.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/supplemental/util/platform.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;

static void on_signal(int signal_number) {
    (void)signal_number;
    stopped = 1;
}

static void heed_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    if (sigaction(SIGINT, &action, NULL) != 0 || sigaction(SIGTERM, &action, NULL) != 0)
        fail("sigaction", strerror(errno));
}

/* Tells tools of the topic. A reader must meet a whole file or none: it is written beside, and renamed. */
static void announce(const char *file, const char *topic) {
    char new[LONGEST_PATH + sizeof ".json.new"];
    (void)snprintf(new, sizeof new, "%s.new", file);
    int descriptor = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (descriptor < 0) fail(new, strerror(errno));
    int written = dprintf(descriptor,
                          "{\"topic\": \"%s\", \"type\": \"Count/1\", \"pid\": %ld, \"schema\": {\"type\": \"object\", "
                          "\"properties\": {\"stamp\": {\"type\": \"integer\"}, \"n\": {\"type\": \"integer\"}}}}\n",
                          topic, (long)getpid());
    if (written < 0 || close(descriptor) != 0 || rename(new, file) != 0) fail(file, strerror(errno));
}

static nng_socket published(const char *path) {
    char url[LONGEST_PATH + sizeof "ipc://"];
    nng_socket socket;
    (void)snprintf(url, sizeof url, "ipc://%s", path);
    need(nng_pub0_open(&socket), "a socket");
    need(nng_socket_set_int(socket, NNG_OPT_SENDBUF, QUEUE), "send-buffer");
    need(nng_listen(socket, url, NULL, 0), url); /* takes the place of one that died, and of no other */
    if (chmod(path, 0600) != 0) fail(path, strerror(errno));
    return socket;
}

static void send_count(nng_socket socket, uint64_t seq) {
    uint64_t now = graph_time();
    msgpack_sbuffer data;
    msgpack_packer out;
    msgpack_sbuffer_init(&data);
    msgpack_packer_init(&out, &data, msgpack_sbuffer_write);
    pack_envelope(&out, seq, now);
    pack_map(&out, 3);
    pack_text(&out, "type"), pack_text(&out, "Count/1");
    pack_text(&out, "stamp"), pack_number(&out, now);
    pack_text(&out, "n"), pack_number(&out, seq + 1);
    need(nng_send(socket, data.data, data.size, 0), "send"); /* never waits; a slow reader loses */
    msgpack_sbuffer_destroy(&data);
}

/* Sleeps until a moment of the monotonic clock, or a signal. */
static void sleep_until(const struct timespec *moment) {
    int result = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, moment, NULL);
    if (result != 0 && result != EINTR) fail("sleep", strerror(result));
}

int main(int argc, char **argv) {
    if (argc < 3 || argc > 6 || (argc == 6 && strcmp(argv[5], "announce") != 0))
        fail("usage", "publish GRAPH TOPIC [HZ [COUNT [announce]]]   (COUNT 0: for ever)");
    unsigned long hz = argc > 3 ? number(argv[3], "HZ", 100000) : 10;
    unsigned long count = argc > 4 ? number(argv[4], "COUNT", 1000000000) : 0;
    char path[LONGEST_PATH + 1], file[LONGEST_PATH + sizeof ".json"];
    struct timespec moment;
    if (!hz) fail("HZ", "at least 1");
    heed_signals();
    find_path(path, argv[1], argv[2]);
    (void)snprintf(file, sizeof file, "%s.json", path);
    nng_socket socket = published(path);
    if (argc == 6) announce(file, argv[2]);
    if (clock_gettime(CLOCK_MONOTONIC, &moment) != 0) fail("the clock", strerror(errno));
    for (uint64_t seq = 0; !stopped && (!count || seq < count); seq++) {
        send_count(socket, seq);
        moment.tv_nsec += 1000000000L / (long)hz;
        moment.tv_sec += moment.tv_nsec / 1000000000L;
        moment.tv_nsec %= 1000000000L;
        sleep_until(&moment);
    }
    nng_msleep(100); /* closing throws away what is not sent yet */
    if (argc == 6 && unlink(file) != 0 && errno != ENOENT) fail(file, strerror(errno)); /* the graph may have gone */
    need(nng_close(socket), "close");
    return 0;
}
