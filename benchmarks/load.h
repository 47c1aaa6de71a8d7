/* What the load generators have in common: marks, latencies, sockets, and the command line. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum { EVENTS = 1024, DEADLINE = 110, LARGEST = 1 << 20, SOURCES = 200, NUMBERS = 5 };

static char data[LARGEST], received[LARGEST];
static struct sockaddr_in server = {.sin_family = AF_INET};

static void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "not what was expected");
    exit(1);
}

static long check(long result, const char *what)
{
    if (result < 0)
        fail(what);
    return result;
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Latencies, in buckets of 3 %. */

enum { FINE = 5, STEPS = 1 << FINE };
static uint64_t buckets[64 * STEPS];

static void record(uint64_t nanoseconds)
{
    if (nanoseconds < STEPS) {
        buckets[nanoseconds]++;
        return;
    }
    int exponent = 63 - __builtin_clzll(nanoseconds);
    buckets[(unsigned)(exponent - FINE + 1) * STEPS + ((nanoseconds >> (exponent - FINE)) & (STEPS - 1))]++;
}

static uint64_t middle_of(unsigned bucket)
{
    if (bucket < STEPS)
        return bucket;
    unsigned shift = bucket / STEPS - 1;
    return ((uint64_t)(STEPS + bucket % STEPS) << shift) + ((1u << shift) >> 1);
}

/* What the benchmark is told, and waits for. */

static uint64_t begun;

static void ready(void)
{
    char line[16];
    memset(buckets, 0, sizeof buckets);
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        exit(1);
    begun = now();
}

static void result(uint64_t count, uint64_t lost)
{
    double seconds = (double)(now() - begun) / 1e9;
    const char *separator = "";
    printf("{\"count\": %llu, \"seconds\": %.9f, \"lost\": %llu, \"histogram\": [", (unsigned long long)count, seconds,
           (unsigned long long)lost);
    for (unsigned bucket = 0; bucket < sizeof buckets / sizeof *buckets; bucket++)
        if (buckets[bucket]) {
            printf("%s[%llu, %llu]", separator, (unsigned long long)middle_of(bucket),
                   (unsigned long long)buckets[bucket]);
            separator = ", ";
        }
    puts("]}");
    fflush(stdout);
}

/* Stay connected until the benchmark has read what it wants to know of the server. */
static void stay(void)
{
    while (getchar() != EOF)
        ;
}

/* Sockets. */

static int tcp_connection(long number)
{
    int yes = 1;
    int fd = (int)check(socket(AF_INET, SOCK_STREAM, 0), "socket");
    /* Many source addresses, so that closed connections in TIME_WAIT do not use up the ports. */
    struct sockaddr_in source = {.sin_family = AF_INET};
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)(number % SOURCES));
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    check(bind(fd, (struct sockaddr *)&source, sizeof source), "bind");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    check(connect(fd, (struct sockaddr *)&server, sizeof server), "connect");
    return fd;
}

static void no_blocking(int fd)
{
    check(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), "fcntl");
}

static void watch(int poller, int fd, uint32_t index)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    check(epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

/* The command line: what there is, and what is asked for. */

struct mode {
    const char *name;
    void (*run)(const long *numbers);
};

static int run_mode(const struct mode *modes, int argc, char **argv)
{
    long numbers[NUMBERS] = {0};
    if (argc < 3 || argc > 3 + NUMBERS) {
        fprintf(stderr, "usage: load MODE PORT NUMBER...\n");
        return 2;
    }
    server.sin_port = htons((uint16_t)atoi(argv[2]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 3; i < argc; i++)
        numbers[i - 3] = atol(argv[i]);
    for (int i = 0; i < LARGEST; i++)
        data[i] = (char)(i * 7 + i / 251);
    alarm(DEADLINE);
    for (; modes->name; modes++)
        if (!strcmp(argv[1], modes->name)) {
            modes->run(numbers);
            return 0;
        }
    fprintf(stderr, "load: no mode %s\n", argv[1]);
    return 2;
}
