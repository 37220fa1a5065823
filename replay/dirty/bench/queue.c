/* What is called: a queue of bytes, as a user's library might be. */
#include <stdlib.h>
#include <string.h>

typedef struct queue {
    unsigned capacity, head, count;
    unsigned char cells[];
} queue;

queue *queue_new(unsigned capacity)
{
    queue *q = calloc(1, sizeof *q + capacity);

    if (q)
        q->capacity = capacity;
    return q;
}

void queue_free(queue *q)
{
    free(q);
}

int queue_put(queue *q, unsigned char value)
{
    if (q->count == q->capacity)
        return -1;
    q->cells[(q->head + q->count++) % q->capacity] = value;
    return 0;
}

int queue_get(queue *q)
{
    int value;

    if (!q->count)
        return -1;
    value = q->cells[q->head];
    q->head = (q->head + 1) % q->capacity;
    q->count--;
    return value;
}

int queue_write(queue *q, const unsigned char *data, int size)
{
    int done = 0;

    while (done < size && !queue_put(q, data[done]))
        done++;
    return done;
}

int queue_read(queue *q, unsigned char *data, int size)
{
    int done = 0;

    while (done < size && q->count)
        data[done++] = (unsigned char)queue_get(q);
    return done;
}

unsigned queue_count(const queue *q)
{
    return q->count;
}

int queue_is_full(const queue *q)
{
    return q->count == q->capacity;
}
