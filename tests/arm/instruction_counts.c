/* A plugin of QEMU's user-mode emulator that writes which instructions a program executed, and how often.
 *
 *     qemu-aarch64 -plugin ./instruction_counts.so,out=counts.txt program
 *
 * One line per translated block: how often it ran, then in hexadecimal its address and its 32-bit instructions. The
 * plugin interface is declared here as it stands in QEMU 6.0 to 8.2 (version 1 of qemu-plugin.h), so that no headers of
 * QEMU are needed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info_t;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*callback)(qemu_plugin_id_t id, struct qemu_plugin_tb *block));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *block, enum qemu_plugin_op operation,
                                              void *counter, uint64_t addend);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *instruction);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*callback)(qemu_plugin_id_t id, void *context),
                                    void *context);

EXPORTED int qemu_plugin_version = 1;

typedef struct counted {
    struct counted *next;
    uint64_t runs, address;
    size_t length;
    uint32_t instructions[];
} counted;

static counted *blocks;
static const char *path;

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    (void)id;
    const size_t length = qemu_plugin_tb_n_insns(block);
    counted *entry = malloc(sizeof *entry + length * sizeof entry->instructions[0]);
    if (entry == NULL) abort();
    *entry = (counted){.next = blocks, .address = qemu_plugin_tb_vaddr(block), .length = length};
    for (size_t i = 0; i < length; i++)
        memcpy(&entry->instructions[i], qemu_plugin_insn_data(qemu_plugin_tb_get_insn(block, i)), sizeof(uint32_t));
    blocks = entry;
    qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &entry->runs, 1);
}

static void on_exit(qemu_plugin_id_t id, void *context) {
    (void)id, (void)context;
    FILE *file = fopen(path, "w");
    if (file == NULL) abort();
    for (const counted *entry = blocks; entry != NULL; entry = entry->next) {
        fprintf(file, "%" PRIu64 " %" PRIx64, entry->runs, entry->address);
        for (size_t i = 0; i < entry->length; i++) fprintf(file, " %08" PRIx32, entry->instructions[i]);
        fputc('\n', file);
    }
    if (fclose(file) != 0) abort();
}

EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int count, char **arguments) {
    static const char NAME[] = "out=";
    (void)info;
    for (int i = 0; i < count; i++)
        if (strncmp(arguments[i], NAME, strlen(NAME)) == 0) path = arguments[i] + strlen(NAME);
    if (path == NULL) return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit, NULL);
    return 0;
}
