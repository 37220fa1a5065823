"""What a ring is: a queue with a limit. A reference model for replay verify --model."""

from collections import deque


class Ring:
    """The functions of ring.h; an object is a deque with its limit."""

    def ring_new(self, capacity):
        if capacity == 0 or capacity & (capacity - 1):
            return None
        return deque(), capacity

    def ring_free(self, ring):
        pass

    def ring_put(self, ring, value):
        queue, capacity = ring
        if len(queue) == capacity:
            return -1
        queue.append(value)
        return 0

    def ring_get(self, ring):
        queue, _ = ring
        return queue.popleft() if queue else -1

    def ring_write(self, ring, data):
        queue, capacity = ring
        taken = data[: capacity - len(queue)]
        queue.extend(taken)
        return len(taken)

    def ring_read(self, ring, n):
        queue, _ = ring
        return min(n, len(queue)), {"data": self.taken(queue, n)}

    @staticmethod
    def taken(queue, n):
        out = bytes(queue.popleft() for _ in range(min(n, len(queue))))
        return "untouched" if n and not out else out + b"\xa5" * (n - len(out))

    def ring_clear(self, ring):
        ring[0].clear()

    def ring_count(self, ring):
        return len(ring[0])
