/* The other side of every benchmark: a load generator that costs much less than any server it loads.
 *
 * load MODE PORT NUMBER... does one work against a server on 127.0.0.1. It prints "ready" once it is connected and
 * warm, waits for a line on its standard input, does the work, and prints one line of JSON:
 *
 *     {"count": units done, "seconds": wall time, "lost": datagrams, "histogram": [[nanoseconds, how often], ...]}
 *
 * Before "ready" and after the result nothing is under way, so the server's CPU time may be read at both marks.
 * _python_load.py does the same where there is no compiler; the modes and their numbers are described there.
 */

#include "load.h"

#include <endian.h>
#include <netinet/udp.h>
#include <poll.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { QUIET_MS = 200 };

static int udp_socket(int connected)
{
    int size = 8 << 20;
    struct timeval quiet = {.tv_usec = QUIET_MS * 1000};
    int fd = (int)check(socket(AF_INET, SOCK_DGRAM, 0), "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &quiet, sizeof quiet);
    if (connected)
        check(connect(fd, (struct sockaddr *)&server, sizeof server), "connect");
    return fd;
}

static void send_all(int fd, const char *from, long size)
{
    while (size) {
        long sent = check(send(fd, from, (size_t)size, MSG_NOSIGNAL), "send");
        from += sent;
        size -= sent;
    }
}

static void send_number(int fd, uint64_t number)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(number >> (56 - 8 * i));
    check(send(fd, bytes, sizeof bytes, MSG_NOSIGNAL), "send");
}

static uint64_t as_number(const unsigned char *bytes)
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number = number << 8 | bytes[i];
    return number;
}

/* Echo in lockstep, over TCP and over UDP. */

struct flow {
    int fd;
    long got;
    uint64_t sent;
};

static void exchange(struct flow *flow, long size)
{
    flow->got = 0;
    flow->sent = now();
    if (send(flow->fd, data, (size_t)size, MSG_NOSIGNAL) != size)
        fail("send");
}

static uint64_t lockstep(int poller, struct flow *flows, long number, long size, long milliseconds, int datagrams,
                         uint64_t *lost)
{
    struct epoll_event events[EVENTS];
    uint64_t done = 0, end = now() + (uint64_t)milliseconds * 1000000u;
    long active = number;
    for (long i = 0; i < number; i++)
        exchange(&flows[i], size);
    while (active) {
        int count = (int)check(epoll_wait(poller, events, EVENTS, datagrams ? QUIET_MS : DEADLINE * 1000), "epoll_wait");
        if (!count && !datagrams)
            fail("no echo came");
        if (!count) /* every flow that is not done has lost its datagram */
            for (long i = 0; i < number; i++)
                if (flows[i].got < size) {
                    ++*lost;
                    exchange(&flows[i], size);
                }
        for (int i = 0; i < count; i++) {
            struct flow *flow = &flows[events[i].data.u32];
            long got = recv(flow->fd, received, datagrams ? LARGEST : (size_t)(size - flow->got), 0);
            if (got < 0 && errno == EAGAIN)
                continue;
            if (got <= 0 || flow->got + got > size || memcmp(received, data + flow->got, (size_t)got)) {
                errno = got < 0 ? errno : 0;
                fail("echo");
            }
            flow->got += got;
            if (flow->got < size)
                continue;
            uint64_t time = now();
            record(time - flow->sent);
            done++;
            if (time < end)
                exchange(flow, size);
            else
                active--;
        }
    }
    return done;
}

static void measure_echo(const long *numbers, int datagrams)
{
    long number = numbers[0], size = numbers[1], milliseconds = numbers[2], warm_up = numbers[3];
    struct flow *flows = calloc((size_t)number, sizeof *flows);
    int poller = (int)check(epoll_create1(0), "epoll_create1");
    uint64_t lost = 0;
    for (long i = 0; i < number; i++) {
        flows[i].fd = datagrams ? udp_socket(1) : tcp_connection(i);
        no_blocking(flows[i].fd);
        watch(poller, flows[i].fd, (uint32_t)i);
    }
    lockstep(poller, flows, number, size, warm_up, datagrams, &lost);
    ready();
    lost = 0;
    uint64_t done = lockstep(poller, flows, number, size, milliseconds, datagrams, &lost);
    result(done, lost);
}

static void echo(const long *numbers)
{
    measure_echo(numbers, 0);
}

static void datagram_echo(const long *numbers)
{
    measure_echo(numbers, 1);
}

/* Connections opened, used for one byte and closed. */

static void churn(int poller, struct flow *flows, long at_once, long count)
{
    struct epoll_event events[EVENTS];
    long started = 0, done = 0;
    for (; started < at_once && started < count; started++) {
        flows[started].sent = now();
        flows[started].fd = tcp_connection(started);
        send_all(flows[started].fd, data, 1);
        watch(poller, flows[started].fd, (uint32_t)started);
    }
    while (done < count) {
        int ready_now = (int)check(epoll_wait(poller, events, EVENTS, DEADLINE * 1000), "epoll_wait");
        for (int i = 0; i < ready_now; i++) {
            struct flow *flow = &flows[events[i].data.u32];
            errno = 0;
            if (recv(flow->fd, received, 1, 0) != 1)
                fail("echo of one byte");
            close(flow->fd);
            record(now() - flow->sent);
            done++;
            if (started < count) {
                flow->sent = now();
                flow->fd = tcp_connection(started++);
                send_all(flow->fd, data, 1);
                watch(poller, flow->fd, events[i].data.u32);
            }
        }
    }
}

/* One more, whose echo tells that the server has come to the end of the earlier ones. */
static void settle(void)
{
    int fd = tcp_connection(0);
    send_all(fd, data, 1);
    check(recv(fd, received, 1, 0), "recv");
    close(fd);
}

static void connections(const long *numbers)
{
    long at_once = numbers[0], count = numbers[1];
    struct flow *flows = calloc((size_t)at_once, sizeof *flows);
    int poller = (int)check(epoll_create1(0), "epoll_create1");
    churn(poller, flows, at_once, count / 10 + at_once);
    settle();
    ready();
    churn(poller, flows, at_once, count);
    settle();
    result((uint64_t)count, 0);
}

/* Connections that only exist. */

static void idle(const long *numbers)
{
    long warm = numbers[0], count = numbers[1];
    for (long i = 0; i < warm; i++)
        tcp_connection(i);
    settle();
    ready();
    for (long i = 0; i < count; i++)
        tcp_connection(i);
    settle();
    result((uint64_t)count, 0);
    stay();
}

/* One stream of bytes, to the server, from it, and through it. */

static void source(const long *numbers)
{
    long bytes = numbers[0], piece = numbers[1];
    int fd = tcp_connection(0);
    ready();
    for (long left = bytes; left; left -= piece < left ? piece : left)
        send_all(fd, data, piece < left ? piece : left);
    check(shutdown(fd, SHUT_WR), "shutdown");
    check(recv(fd, received, 1, 0), "recv"); /* the server closes when it has everything */
    result((uint64_t)bytes, 0);
}

static void sink(const long *numbers)
{
    long bytes = numbers[0], piece = numbers[1], total = 0, got;
    int fd = tcp_connection(0);
    ready();
    send_number(fd, (uint64_t)bytes);
    while ((got = check(recv(fd, received, (size_t)piece, 0), "recv")))
        total += got;
    errno = 0;
    if (total != bytes)
        fail("the size of what was sent");
    result((uint64_t)bytes, 0);
}

static void relay(const long *numbers)
{
    long bytes = numbers[0], piece = numbers[1], left = bytes, total = 0;
    struct pollfd ends[2] = {{.fd = tcp_connection(0), .events = POLLOUT}, {.fd = tcp_connection(1), .events = POLLIN}};
    no_blocking(ends[0].fd);
    no_blocking(ends[1].fd);
    ready();
    for (;;) {
        errno = 0;
        if (check(poll(ends, 2, DEADLINE * 1000), "poll") == 0)
            fail("nothing moves");
        if (ends[0].revents && left) {
            long sent = send(ends[0].fd, data, (size_t)(piece < left ? piece : left), MSG_NOSIGNAL);
            if (sent < 0 && errno != EAGAIN)
                fail("send");
            left -= sent > 0 ? sent : 0;
            if (!left) {
                check(shutdown(ends[0].fd, SHUT_WR), "shutdown");
                ends[0].fd = -1;
            }
        }
        if (ends[1].revents) {
            long got = recv(ends[1].fd, received, (size_t)piece, 0);
            if (!got)
                break;
            if (got < 0 && errno != EAGAIN)
                fail("recv");
            total += got > 0 ? got : 0;
        }
    }
    errno = 0;
    if (total != bytes)
        fail("the size of what was relayed");
    result((uint64_t)bytes, 0);
}

/* One byte asks the server for a round of small packets. */

static void packets(const long *numbers)
{
    long rounds = numbers[0], size = numbers[1], number = numbers[2], warm_up = numbers[3];
    int fd = tcp_connection(0);
    for (long round = -warm_up; round < rounds; round++) {
        if (round == 0)
            ready();
        uint64_t sent = now();
        send_all(fd, data, 1);
        for (long got = 0; got < size * number;) {
            long more = check(recv(fd, received, LARGEST, 0), "recv");
            errno = 0;
            if (!more)
                fail("the end of the packets");
            got += more;
        }
        record(now() - sent);
    }
    result((uint64_t)(rounds * number), 0);
}

/* Batches of datagrams, from the server and to it. */

static void datagram_sink(const long *numbers)
{
    enum { MESSAGES = 16, ROOM = LARGEST / MESSAGES };
    long rounds = numbers[0], batches = numbers[1], batch = numbers[2], size = numbers[3];
    int coalesced = numbers[4] != 0;
    struct mmsghdr messages[MESSAGES];
    struct iovec pieces[MESSAGES];
    uint64_t count = 0, lost = 0;
    int fd = udp_socket(0);
    /* The system then delivers what was sent in one call in one piece, as a network card would take it. */
    if (coalesced)
        setsockopt(fd, IPPROTO_UDP, UDP_GRO, &coalesced, sizeof coalesced);
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < MESSAGES; i++) {
        pieces[i] = (struct iovec){received + i * ROOM, ROOM};
        messages[i].msg_hdr.msg_iov = &pieces[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    for (long round = -3; round < rounds; round++) {
        if (round == 0) {
            ready();
            count = lost = 0;
        }
        uint64_t request = htobe64((uint64_t)batches), sent = now();
        check(sendto(fd, &request, sizeof request, 0, (struct sockaddr *)&server, sizeof server), "sendto");
        long left = batches * batch;
        while (left > 0) {
            int got = recvmmsg(fd, messages, MESSAGES, MSG_WAITFORONE, NULL);
            if (got < 0 && errno == EAGAIN)
                break;
            check(got, "recvmmsg");
            errno = 0;
            for (int i = 0; i < got; i++) {
                if (messages[i].msg_len % (unsigned)size || (!coalesced && messages[i].msg_len != (unsigned)size))
                    fail("the size of a datagram");
                left -= messages[i].msg_len / (unsigned)size;
            }
        }
        record(now() - sent);
        count += (uint64_t)(batches * batch);
        lost += (uint64_t)(left > 0 ? left : 0);
    }
    result(count, lost);
}

/* Send one batch, which is one call where the system can cut it up; the last datagram may be a byte shorter. */
static void send_batch(int fd, long batch, long size, long shorter)
{
    static int segments = 1;
    char control[CMSG_SPACE(sizeof(uint16_t))] = {0};
    struct iovec piece = {data, (size_t)(batch * size - shorter)};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = IPPROTO_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    uint16_t segment = (uint16_t)size;
    memcpy(CMSG_DATA(header), &segment, sizeof segment);
    if (segments && sendmsg(fd, &message, 0) >= 0)
        return;
    segments = 0;
    for (long i = 0; i < batch; i++)
        check(send(fd, data, (size_t)(size - (i == batch - 1 ? shorter : 0)), 0), "send");
}

static void datagram_source(const long *numbers)
{
    long rounds = numbers[0], batches = numbers[1], batch = numbers[2], size = numbers[3];
    uint64_t sent = 0, before = 0, counted = 0;
    int fd = udp_socket(1);
    for (long round = -3; round < rounds; round++) {
        if (round == 0) {
            ready();
            before = counted;
            sent = 0;
        }
        uint64_t started = now();
        for (long i = 0; i < batches; i++)
            send_batch(fd, batch, size, i == batches - 1);
        sent += (uint64_t)(batches * batch);
        while (recv(fd, received, 8, 0) != 8) { /* a shorter datagram asks for the count; ask again */
            if (errno != EAGAIN || now() - started > DEADLINE * 1000000000ull)
                fail("no count came");
            check(send(fd, data, (size_t)(size - 1), 0), "send");
            sent++;
        }
        counted = as_number((unsigned char *)received);
        record(now() - started);
    }
    uint64_t count = counted - before;
    result(count, sent > count ? sent - count : 0);
}

int main(int argc, char **argv)
{
    static const struct mode modes[] = {
        {"echo", echo},
        {"datagram-echo", datagram_echo},
        {"connections", connections},
        {"idle", idle},
        {"source", source},
        {"sink", sink},
        {"relay", relay},
        {"packets", packets},
        {"datagram-sink", datagram_sink},
        {"datagram-source", datagram_source},
        {0},
    };
    return run_mode(modes, argc, argv);
}
