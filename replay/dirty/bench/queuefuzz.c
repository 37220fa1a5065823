/* A harness for libFuzzer as one is written by hand: bytes are calls; the same observers. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct queue queue;
queue *queue_new(unsigned capacity);
void queue_free(queue *q);
int queue_put(queue *q, unsigned char value);
int queue_get(queue *q);
int queue_write(queue *q, const unsigned char *data, int size);
int queue_read(queue *q, unsigned char *data, int size);
unsigned queue_count(const queue *q);
int queue_is_full(const queue *q);

static unsigned long operations, looks;
static volatile unsigned seen;

static void tell(void)
{
    fprintf(stderr, "calls %lu %lu\n", operations, looks);
}

int LLVMFuzzerInitialize(int *count, char ***words)
{
    (void)count;
    (void)words;
    return atexit(tell);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    queue *q[2] = {NULL, NULL};
    unsigned char room[8];

    for (size_t i = 0; i + 1 < size && i < 80; i += 2) {
        int which = data[i] >> 7, value = data[i + 1], small = value % 6;

        operations++;
        if (!q[which])
            q[which] = queue_new(1 + value % 8);
        else
            switch (data[i] % 16) {
            case 0: queue_free(q[which]); q[which] = NULL; break;
            case 1: case 2: case 3: case 4: queue_put(q[which], (unsigned char)value); break;
            case 5: case 6: case 7: case 8: seen += queue_get(q[which]); break;
            case 9: case 10: case 11:
                if (i + 2 + (size_t)small <= size)
                    seen += queue_write(q[which], data + i + 2, small);
                break;
            default: seen += queue_read(q[which], room, small);
            }
        for (int k = 0; k < 2; k++)
            if (q[k]) {
                seen += queue_count(q[k]) + queue_is_full(q[k]);
                looks += 2;
            }
    }
    for (int k = 0; k < 2; k++)
        queue_free(q[k]);
    return 0;
}
