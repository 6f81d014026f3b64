/* What the kernel alone costs: one epoll loop that answers the benchmark's clients with ready bytes.
 *
 * Not a Socket.IO server: it knows the few messages that the load generator sends by their first bytes, believes
 * everything, and answers the one WebSocket key that is ever used. Whoever does less work than this does not do the
 * same job.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CLIENTS = 1 << 17, ROOMS = 1 << 10, EVENTS = 256, READ_BYTES = 1 << 20, HEADER = 14, MAX_PENDING = 4000000 };
enum { TEXT = 1, BINARY = 2, CLOSE = 8 };

/* Clients in the order in which they are due for a ping, or the members of a channel. */
struct list { int *items; int count, room; };

struct client {
    int is_open, room, place, expects_attachment;
    char *partial, *pending;              /* read but not whole; not yet taken by the kernel */
    size_t partial_size, pending_size;
    int64_t ping_at;
    int earlier, later;                   /* in the queue of pings */
};

static struct client clients[MAX_CLIENTS];
static struct list all, rooms[ROOMS];
static int first_ping = -1, last_ping = -1, poller;
static int64_t ping_interval = 25000;
static char input[READ_BYTES + HEADER], output[READ_BYTES + HEADER];

static const char UPGRADED[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
static const char OPENED[] =
    "0{\"sid\":\"lower-bound\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}";
static const char ATTACHED[] = "451-[\"message\",{\"_placeholder\":true,\"num\":0}]";
static const char PING[] = {(char)0x81, 1, '2'}, GOODBYE[] = {(char)0x88, 2, 3, (char)0xe8};

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

static int add(struct list *list, int fd) {
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 16;
        list->items = realloc(list->items, list->room * sizeof(int));
    }
    list->items[list->count] = fd;
    return list->count++;
}

static void drop(struct list *list, int fd) {
    for (int place = 0; place < list->count; place++)
        if (list->items[place] == fd) {
            list->items[place] = list->items[--list->count];
            return;
        }
}

static void leave_ping_queue(int fd) {
    struct client *client = &clients[fd];
    if (client->earlier < 0) first_ping = client->later; else clients[client->earlier].later = client->later;
    if (client->later < 0) last_ping = client->earlier; else clients[client->later].earlier = client->earlier;
}

static void join_ping_queue(int fd) {
    struct client *client = &clients[fd];
    client->ping_at = now() + ping_interval;
    client->earlier = last_ping;
    client->later = -1;
    if (last_ping < 0) first_ping = fd; else clients[last_ping].later = fd;
    last_ping = fd;
}

static void hang_up(int fd) {
    struct client *client = &clients[fd];
    if (client->is_open) {
        int last = all.items[--all.count];
        all.items[client->place] = last;
        clients[last].place = client->place;
        if (client->room >= 0) drop(&rooms[client->room], fd);
        leave_ping_queue(fd);
    }
    free(client->partial);
    free(client->pending);
    memset(client, 0, sizeof *client);
    close(fd);
}

static void watch(int fd, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    epoll_ctl(poller, operation, fd, &event);
}

/* The kernel's share first; what it does not take waits, but not without a bound. */
static void send_bytes(int fd, const char *data, size_t size) {
    struct client *client = &clients[fd];
    ssize_t taken = 0;
    if (!client->pending_size) {
        taken = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (taken == (ssize_t)size) return;
        if (taken < 0) {
            if (errno != EAGAIN) return;
            taken = 0;
        }
        watch(fd, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    }
    if (client->pending_size + size > MAX_PENDING) {
        shutdown(fd, SHUT_RDWR);
        return;
    }
    client->pending = realloc(client->pending, client->pending_size + size - taken);
    memcpy(client->pending + client->pending_size, data + taken, size - taken);
    client->pending_size += size - taken;
}

static void flush(int fd) {
    struct client *client = &clients[fd];
    ssize_t taken = send(fd, client->pending, client->pending_size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (taken < 0) return;
    client->pending_size -= taken;
    memmove(client->pending, client->pending + taken, client->pending_size);
    if (!client->pending_size) watch(fd, EPOLL_CTL_MOD, EPOLLIN);
}

/* Put a frame into `output` at `at`, made of two pieces, and tell where it ends. */
static size_t frame(size_t at, int opcode, const char *head, size_t head_size, const char *tail, size_t tail_size) {
    size_t size = head_size + tail_size;
    output[at++] = (char)(0x80 | opcode);
    if (size < 126) {
        output[at++] = (char)size;
    } else if (size < 65536) {
        output[at++] = 126;
        output[at++] = (char)(size >> 8);
        output[at++] = (char)size;
    } else {
        output[at++] = 127;
        for (int shift = 56; shift >= 0; shift -= 8) output[at++] = (char)((uint64_t)size >> shift);
    }
    memcpy(output + at, head, head_size);
    memcpy(output + at + head_size, tail, tail_size);
    return at + size;
}

static void fan_out(const struct list *list, size_t size) {
    for (int place = 0; place < list->count; place++) send_bytes(list->items[place], output, size);
}

static int begins(const char *text, size_t size, const char *start) {
    return size >= strlen(start) && !memcmp(text, start, strlen(start));
}

static void on_text(int fd, char *text, size_t size) {
    static const char CAST[] = "42[\"cast\"", TELL[] = "42[\"tell\",\"room-", JOIN[] = "420[\"join\",\"room-";
    static const char EVENT[] = "42[\"message\"";
    if (begins(text, size, EVENT)) {
        send_bytes(fd, output, frame(0, TEXT, text, size, "", 0));
    } else if (begins(text, size, CAST)) {
        fan_out(&all, frame(0, TEXT, EVENT, strlen(EVENT), text + strlen(CAST), size - strlen(CAST)));
    } else if (begins(text, size, TELL)) {
        char *rest;
        int room = strtol(text + strlen(TELL), &rest, 10) % ROOMS;
        rest++; /* the quotation mark */
        fan_out(&rooms[room], frame(0, TEXT, EVENT, strlen(EVENT), rest, text + size - rest));
    } else if (begins(text, size, JOIN)) {
        clients[fd].room = strtol(text + strlen(JOIN), NULL, 10) % ROOMS;
        add(&rooms[clients[fd].room], fd);
        send_bytes(fd, output, frame(0, TEXT, "430[\"ok\"]", 9, "", 0));
    } else if (begins(text, size, "451-[\"cast\"")) {
        clients[fd].expects_attachment = 1;
    } else if (begins(text, size, "40")) {
        send_bytes(fd, output, frame(0, TEXT, "40{\"sid\":\"lower-bound\"}", 23, "", 0));
    }
}

/* One frame; 0 if the client is gone after it. */
static int on_frame(int fd, int opcode, char *data, size_t size) {
    if (opcode == CLOSE) {
        send_bytes(fd, GOODBYE, sizeof GOODBYE);
        hang_up(fd);
        return 0;
    }
    if (opcode == TEXT) {
        on_text(fd, data, size);
    } else if (opcode == BINARY && clients[fd].expects_attachment) {
        clients[fd].expects_attachment = 0;
        fan_out(&all, frame(frame(0, TEXT, ATTACHED, strlen(ATTACHED), "", 0), BINARY, data, size, "", 0));
    }
    return 1;
}

/* Take whole frames from the start of data; how many bytes they were, or -1 if the client is gone. */
static ssize_t take_frames(int fd, char *data, size_t size) {
    size_t at = 0;
    while (size - at >= 6) {
        unsigned char *header = (unsigned char *)data + at;
        size_t length = header[1] & 0x7f, start = length < 126 ? 2 : length == 126 ? 4 : 10;
        if (size - at < start + 4) break;
        if (start > 2) length = 0;
        for (size_t digit = 2; digit < start; digit++) length = length << 8 | header[digit];
        if (size - at < start + 4 + length) break;
        uint32_t mask, word;
        memcpy(&mask, header + start, 4);
        char *payload = data + at + start + 4;
        size_t byte = 0;
        for (; byte + 4 <= length; byte += 4) {
            memcpy(&word, payload + byte, 4);
            word ^= mask;
            memcpy(payload + byte, &word, 4);
        }
        for (; byte < length; byte++) payload[byte] ^= ((char *)&mask)[byte % 4];
        at += start + 4 + length;
        if (!on_frame(fd, header[0] & 0x0f, payload, length)) return -1;
    }
    return (ssize_t)at;
}

static void on_upgrade(int fd) {
    struct client *client = &clients[fd];
    client->is_open = 1;
    client->room = -1;
    client->place = add(&all, fd);
    join_ping_queue(fd);
    memcpy(output, UPGRADED, strlen(UPGRADED));
    send_bytes(fd, output, frame(strlen(UPGRADED), TEXT, OPENED, strlen(OPENED), "", 0));
}

static void on_readable(int fd) {
    struct client *client = &clients[fd];
    size_t held = client->partial_size;
    if (held) memcpy(input, client->partial, held);
    ssize_t got = recv(fd, input + held, READ_BYTES - held, MSG_DONTWAIT);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) hang_up(fd);
        return;
    }
    size_t size = held + got;
    ssize_t taken = 0;
    if (client->is_open) {
        taken = take_frames(fd, input, size);
    } else if (size >= 4 && !memcmp(input + size - 4, "\r\n\r\n", 4)) {
        on_upgrade(fd);
        taken = (ssize_t)size;
    }
    if (taken < 0) return;
    client->partial_size = size - taken;
    if (client->partial_size) {
        client->partial = realloc(client->partial, client->partial_size);
        memcpy(client->partial, input + taken, client->partial_size);
    } else if (client->partial) {
        free(client->partial);
        client->partial = NULL;
    }
}

static void accept_all(int listener) {
    int fd, yes = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= MAX_CLIENTS) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        watch(fd, EPOLL_CTL_ADD, EPOLLIN);
    }
}

/* Ping who is due; how many milliseconds until the next one is. */
static int ping(void) {
    int64_t time = now();
    while (first_ping >= 0 && clients[first_ping].ping_at <= time) {
        int fd = first_ping;
        send_bytes(fd, PING, sizeof PING);
        leave_ping_queue(fd);
        join_ping_queue(fd);
    }
    return first_ping < 0 ? -1 : (int)(clients[first_ping].ping_at - time);
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event events[EVENTS];
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
    address.sin_port = htons(atoi(getenv("PORT")));
    if (getenv("PING_INTERVAL")) ping_interval = atoi(getenv("PING_INTERVAL"));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    poller = epoll_create1(0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("lower_bound");
        return 1;
    }
    watch(listener, EPOLL_CTL_ADD, EPOLLIN);
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, ping());
        for (int number = 0; number < count; number++) {
            int fd = events[number].data.fd;
            if (fd == listener) {
                accept_all(listener);
                continue;
            }
            if (events[number].events & EPOLLOUT) flush(fd);
            if (events[number].events & ~EPOLLOUT) on_readable(fd);
        }
    }
}
