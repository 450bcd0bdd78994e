#include "envelope.h"

#include "bus.h"

#include <stdbool.h>
#include <string.h>

/* What follows a head byte from 0xc0 to 0xdf: a length of so many bytes, so many bytes beside it, and so many
   items for each one that the length counts (0: it counts bytes). 0xc1 is never used. */
static const struct {
    unsigned char length, bytes, items;
} FORMS[32] = {
    {0, 0, 0}, {0, 0, 0}, {0, 0, 0}, {0, 0, 0}, {1, 0, 0}, {2, 0, 0}, {4, 0, 0}, {1, 1, 0}, /* nil .. ext 8 */
    {2, 1, 0}, {4, 1, 0}, {0, 4, 0}, {0, 8, 0}, {0, 1, 0}, {0, 2, 0}, {0, 4, 0}, {0, 8, 0}, /* ext 16 .. uint 64 */
    {0, 1, 0}, {0, 2, 0}, {0, 4, 0}, {0, 8, 0}, {0, 2, 0}, {0, 3, 0}, {0, 5, 0}, {0, 9, 0}, /* int 8 .. fixext 8 */
    {0, 17, 0}, {1, 0, 0}, {2, 0, 0}, {4, 0, 0}, {2, 0, 1}, {4, 0, 1}, {2, 0, 2}, {4, 0, 2}, /* fixext 16 .. map 32 */
};

/* Whether the bytes are one item and nothing else. msgpack-c makes room for as many items as a list claims,
   before it looks for them, so a lie of five bytes would cost gigabytes. */
static bool is_whole(const unsigned char *data, size_t size) {
    size_t at = 0;
    for (uint64_t items = 1; items > 0; items--) {
        if (items > size - at) return false;
        unsigned char head = data[at++];
        uint64_t bytes = 0;
        if (head >= 0x80 && head < 0x90) items += 2 * (head & 15);
        else if (head >= 0x90 && head < 0xa0) items += head & 15;
        else if (head >= 0xa0 && head < 0xc0) bytes = head & 31;
        else if (head >= 0xc0 && head < 0xe0) {
            uint64_t count = 0;
            if (head == 0xc1 || FORMS[head - 0xc0].length > size - at) return false;
            for (int i = 0; i < FORMS[head - 0xc0].length; i++) count = count << 8 | data[at++];
            items += count * FORMS[head - 0xc0].items;
            bytes = FORMS[head - 0xc0].bytes + (FORMS[head - 0xc0].items ? 0 : count);
        }
        if (bytes > size - at) return false;
        at += bytes;
    }
    return at == size;
}

/* The items of the array that the bytes are; NULL where they are none, or one of fewer than `least`. */
static const msgpack_object *read_array(msgpack_unpacked *room, const void *data, size_t size, uint32_t least) {
    size_t used = 0;
    if (!is_whole(data, size) || msgpack_unpack_next(room, data, size, &used) != MSGPACK_UNPACK_SUCCESS) return NULL;
    const msgpack_object *found = &room->data;
    return found->type == MSGPACK_OBJECT_ARRAY && found->via.array.size >= least ? found->via.array.ptr : NULL;
}

static bool is_whole_number(const msgpack_object *item) { return item->type == MSGPACK_OBJECT_POSITIVE_INTEGER; }

const char *read_envelope(struct envelope *found, msgpack_unpacked *room, const void *data, size_t size) {
    const msgpack_object *item = read_array(room, data, size, 5);
    if (!item || !is_whole_number(&item[0])) return "malformed";
    if (item[0].via.u64 != VERSION) return "version";
    if (!is_whole_number(&item[1]) || !is_whole_number(&item[2])) return "malformed";
    if (item[3].type != MSGPACK_OBJECT_ARRAY || item[4].type != MSGPACK_OBJECT_MAP) return "malformed";
    *found = (struct envelope){item[1].via.u64, item[2].via.u64, item[3].via.array, item[4].via.map};
    const msgpack_object *type = field(&found->body, "type");
    return type && type->type == MSGPACK_OBJECT_STR ? NULL : "malformed";
}

const msgpack_object_str *read_answer(msgpack_unpacked *room, const void *data, size_t size) {
    const msgpack_object *item = read_array(room, data, size, 2);
    if (!item || !is_whole_number(&item[0]) || item[0].via.u64 != VERSION) return NULL;
    return item[1].type == MSGPACK_OBJECT_STR ? &item[1].via.str : NULL;
}

const msgpack_object *field(const msgpack_object_map *body, const char *name) {
    size_t length = strlen(name);
    for (uint32_t i = 0; i < body->size; i++) {
        const msgpack_object *key = &body->ptr[i].key;
        if (key->type == MSGPACK_OBJECT_STR && key->via.str.size == length && !memcmp(key->via.str.ptr, name, length))
            return &body->ptr[i].val;
    }
    return NULL;
}

static void need_packed(int result) {
    if (result != 0) fail("a message", "no memory for it");
}

void pack_text(msgpack_packer *out, const char *text) {
    need_packed(msgpack_pack_str_with_body(out, text, strlen(text)));
}

void pack_number(msgpack_packer *out, uint64_t value) { need_packed(msgpack_pack_uint64(out, value)); }

void pack_real(msgpack_packer *out, double value) { need_packed(msgpack_pack_double(out, value)); }

void pack_map(msgpack_packer *out, size_t fields) { need_packed(msgpack_pack_map(out, fields)); }

void pack_envelope(msgpack_packer *out, uint64_t seq, uint64_t sent) {
    need_packed(msgpack_pack_array(out, 5));
    pack_number(out, VERSION);
    pack_number(out, seq);
    pack_number(out, sent);
    need_packed(msgpack_pack_array(out, 0));
}
