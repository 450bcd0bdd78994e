/* The envelope: one MessagePack array [version, seq, sent, cause, body]. */
#ifndef ENVELOPE_H
#define ENVELOPE_H

#include <msgpack.h>
#include <stddef.h>
#include <stdint.h>

enum { VERSION = 1 };

struct envelope {
    uint64_t seq, sent;
    msgpack_object_array cause;
    msgpack_object_map body;
};

/* Decodes; NULL, or why it was refused. What is found points into `room` and `data`: both must stay. */
const char *read_envelope(struct envelope *found, msgpack_unpacked *room, const void *data, size_t size);

/* What answers a command, the text in [version, answer]; NULL where that is no answer. */
const msgpack_object_str *read_answer(msgpack_unpacked *room, const void *data, size_t size);

/* A field of a body, or NULL. */
const msgpack_object *field(const msgpack_object_map *body, const char *name);

/* Writes all of an envelope but its body, with no cause; a map must follow. */
void pack_envelope(msgpack_packer *out, uint64_t seq, uint64_t sent);

/* Write one item each; they fail where there is no memory. A map of n fields is followed by n keys and values. */
void pack_map(msgpack_packer *out, size_t fields);
void pack_text(msgpack_packer *out, const char *text);
void pack_number(msgpack_packer *out, uint64_t value);
void pack_real(msgpack_packer *out, double value);

#endif
