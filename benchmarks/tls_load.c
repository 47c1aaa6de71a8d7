/* The load generator for TLS; what it prints, and when, is told in load.c.
 *
 * Every server speaks TLS 1.3 with the same cipher, the same curves and no resumption: the client says so. It takes
 * any certificate, because what checking it costs is the client's.
 */

#include "load.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

static SSL_CTX *context;

static void tls_fail(const char *what)
{
    ERR_print_errors_fp(stderr);
    errno = 0;
    fail(what);
}

static SSL *tls_over(int fd)
{
    SSL *tls = SSL_new(context);
    if (!tls || !SSL_set_fd(tls, fd))
        tls_fail("SSL_new");
    SSL_set_connect_state(tls);
    return tls;
}

static SSL *tls_connection(long number)
{
    SSL *tls = tls_over(tcp_connection(number));
    if (SSL_connect(tls) != 1)
        tls_fail("handshake");
    return tls;
}

static void write_all(SSL *tls, long size)
{
    if (SSL_write(tls, data, (int)size) != size)
        tls_fail("SSL_write");
}

/* Wait until the server closes. */
static void await_end(int fd)
{
    long got;
    while ((got = recv(fd, received, LARGEST, 0)) > 0)
        ;
    check(got, "recv");
}

/* One more connection, whose echo tells that the server has come to the end of the earlier ones. */
static void settle(void)
{
    SSL *tls = tls_connection(0);
    write_all(tls, 1);
    if (SSL_read(tls, received, 1) != 1)
        tls_fail("echo of one byte");
    SSL_shutdown(tls);
    await_end(SSL_get_fd(tls));
    close(SSL_get_fd(tls));
    SSL_free(tls);
}

/* Echo in lockstep. A session ticket may wake a read that then waits for the echo behind it: nothing is lost. */

struct flow {
    SSL *tls;
    long got;
    uint64_t sent;
    enum { SHAKING_HANDS, AWAITING_ECHO, AWAITING_END } step;
};

static void exchange(struct flow *flow, long size)
{
    flow->got = 0;
    flow->sent = now();
    write_all(flow->tls, size);
}

static uint64_t lockstep(int poller, struct flow *flows, long number, long size, long milliseconds)
{
    struct epoll_event events[EVENTS];
    uint64_t done = 0, end = now() + (uint64_t)milliseconds * 1000000u;
    long active = number;
    for (long i = 0; i < number; i++)
        exchange(&flows[i], size);
    while (active) {
        int count = (int)check(epoll_wait(poller, events, EVENTS, DEADLINE * 1000), "epoll_wait");
        for (int i = 0; i < count; i++) {
            struct flow *flow = &flows[events[i].data.u32];
            do {
                int got = SSL_read(flow->tls, received, (int)(size - flow->got));
                if (got <= 0 || memcmp(received, data + flow->got, (size_t)got))
                    tls_fail("echo");
                flow->got += got;
            } while (flow->got < size && SSL_pending(flow->tls));
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

static void echo(const long *numbers)
{
    long number = numbers[0], size = numbers[1], milliseconds = numbers[2], warm_up = numbers[3];
    struct flow *flows = calloc((size_t)number, sizeof *flows);
    int poller = (int)check(epoll_create1(0), "epoll_create1");
    for (long i = 0; i < number; i++) {
        flows[i].tls = tls_connection(i);
        watch(poller, SSL_get_fd(flows[i].tls), (uint32_t)i);
    }
    lockstep(poller, flows, number, size, warm_up);
    ready();
    result(lockstep(poller, flows, number, size, milliseconds), 0);
    stay(); /* some servers end when a connection does without a word */
}

/* Connections opened, used for one byte and closed in good order by both sides. */

/* Go on with what has arrived; whether the connection is over. */
static int go_on(struct flow *flow)
{
    int done;
    switch (flow->step) {
    case SHAKING_HANDS:
        if ((done = SSL_do_handshake(flow->tls)) != 1)
            break;
        write_all(flow->tls, 1);
        flow->step = AWAITING_ECHO;
        /* fall through */
    case AWAITING_ECHO:
        if ((done = SSL_read(flow->tls, received, 1)) != 1)
            break;
        SSL_shutdown(flow->tls);
        flow->step = AWAITING_END;
        /* fall through */
    default:
        while ((done = (int)recv(SSL_get_fd(flow->tls), received, LARGEST, 0)) > 0)
            ;
        if (done < 0 && errno != EAGAIN)
            fail("the end of the connection");
        return !done;
    }
    if (SSL_get_error(flow->tls, done) != SSL_ERROR_WANT_READ)
        tls_fail("handshake and echo of one byte");
    return 0;
}

static void begin_connection(int poller, struct flow *flow, long number, uint32_t index)
{
    flow->sent = now();
    int fd = tcp_connection(number);
    no_blocking(fd);
    flow->tls = tls_over(fd);
    flow->step = SHAKING_HANDS;
    watch(poller, fd, index);
    go_on(flow);
}

static void churn(int poller, struct flow *flows, long at_once, long count)
{
    struct epoll_event events[EVENTS];
    long started = 0, done = 0;
    for (; started < at_once && started < count; started++)
        begin_connection(poller, &flows[started], started, (uint32_t)started);
    while (done < count) {
        int ready_now = (int)check(epoll_wait(poller, events, EVENTS, DEADLINE * 1000), "epoll_wait");
        for (int i = 0; i < ready_now; i++) {
            struct flow *flow = &flows[events[i].data.u32];
            if (!go_on(flow))
                continue;
            close(SSL_get_fd(flow->tls));
            SSL_free(flow->tls);
            record(now() - flow->sent);
            done++;
            if (started < count)
                begin_connection(poller, flow, started++, events[i].data.u32);
        }
    }
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
        tls_connection(i);
    settle();
    ready();
    for (long i = 0; i < count; i++)
        tls_connection(i);
    settle();
    result((uint64_t)count, 0);
    stay();
}

/* One stream of bytes to the server. */

static void source(const long *numbers)
{
    long bytes = numbers[0], piece = numbers[1];
    SSL *tls = tls_connection(0);
    ready();
    for (long left = bytes; left > 0; left -= piece)
        write_all(tls, piece < left ? piece : left);
    SSL_shutdown(tls);
    await_end(SSL_get_fd(tls)); /* the server closes when it has everything */
    result((uint64_t)bytes, 0);
}

int main(int argc, char **argv)
{
    static const struct mode modes[] = {
        {"tls-echo", echo}, {"tls-connections", connections}, {"tls-idle", idle}, {"tls-source", source}, {0},
    };
    context = SSL_CTX_new(TLS_client_method());
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384") || !SSL_CTX_set1_groups_list(context, "X25519"))
        tls_fail("SSL_CTX_new");
    return run_mode(modes, argc, argv);
}
