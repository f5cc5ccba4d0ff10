/* The floor: what any client must do with a frame, and nothing else.
 *
 * epoll, recv, walk the frames, find whose delta it is, decode its base64 with SIMD, account for
 * it. It knows the replay server's spelling of its events and would fail on any other server.
 * It takes the same plan as the Python adapters (JSON in argv[1]) and answers in the same form.
 *
 *     cc -O3 -o floor floor.c && ./floor '{"url":"ws://localhost:1234/…","expected":400,…}'
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define BUFFER (256 * 1024)
#define DELTA_BYTES 4800
#define STAMP_AT 9
#define BODY_AT 18

static const char AUDIO[] = "{\"type\":\"response.output_audio.delta\"";
static const char RESPONSE[] = "\"response_id\":\"resp_";
static const char DELTA[] = "\"delta\":\"";
static const char UPDATE[] = "{\"type\":\"session.update\",\"session\":{\"type\":\"realtime\"}}";

struct connection {
    int fd;
    size_t used;
    unsigned char *buffer;
};

static uint32_t *next_index; /* by tag */
static size_t tags;
static long expected, seen, right, misrouted, out_of_order, corrupt, bytes, events;
static int timed, verify;
static double *latencies;
static size_t latency_count, latency_room;

/* -- base64 ------------------------------------------------------------------------------- */

static int8_t value_of[256];
#if defined(__x86_64__)
static int vbmi, avx2;
#endif

static void base64_prepare(void)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    memset(value_of, -1, sizeof value_of);
    for (int i = 0; i < 64; i++)
        value_of[(unsigned char)alphabet[i]] = (int8_t)i;
#if defined(__x86_64__)
    __builtin_cpu_init();
    vbmi = __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bw");
    avx2 = __builtin_cpu_supports("avx2");
#endif
}

#if defined(__x86_64__)
/* 64 characters to 48 bytes a step: translate by a table of 128, then squeeze 4x6 bits to 3x8. */
__attribute__((target("avx512f,avx512bw,avx512vbmi"))) static size_t
decode_vbmi(const unsigned char *in, size_t size, unsigned char *out)
{
    static unsigned char pack[64];
    if (!pack[1])
        for (int i = 0; i < 48; i++)
            pack[i] = (unsigned char)(i / 3 * 4 + 2 - i % 3);
    const __m512i low = _mm512_loadu_si512(value_of), high = _mm512_loadu_si512(value_of + 64);
    const __m512i order = _mm512_loadu_si512(pack);
    __m512i bad = _mm512_setzero_si512();
    size_t i = 0;
    for (; size - i >= 64 + 4; i += 64, out += 48) {
        __m512i text = _mm512_loadu_si512(in + i);
        __m512i six = _mm512_permutex2var_epi8(low, text, high);
        bad = _mm512_or_si512(bad, _mm512_or_si512(text, six));
        __m512i twelve = _mm512_maddubs_epi16(six, _mm512_set1_epi32(0x01400140));
        __m512i all = _mm512_madd_epi16(twelve, _mm512_set1_epi32(0x00011000));
        _mm512_mask_storeu_epi8(out, 0xFFFFFFFFFFFFull, _mm512_permutexvar_epi8(order, all));
    }
    if (_mm512_movepi8_mask(bad))
        corrupt++;
    return i;
}

/* 32 characters to 24 bytes a step; the class of a character is told by its two nibbles. */
__attribute__((target("avx2"))) static size_t
decode_avx2(const unsigned char *in, size_t size, unsigned char *out)
{
    const __m256i by_low = _mm256_setr_epi8(
        0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x13, 0x1A, 0x1B, 0x1B, 0x1B,
        0x1A, 0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x13, 0x1A, 0x1B, 0x1B,
        0x1B, 0x1A);
    const __m256i by_high = _mm256_setr_epi8(
        0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10,
        0x10, 0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10,
        0x10, 0x10);
    const __m256i shift = _mm256_setr_epi8(0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0,
                                           0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0,
                                           0);
    const __m256i squeeze = _mm256_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1,
                                             2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1,
                                             -1);
    const __m256i mask = _mm256_set1_epi8(0x2F);
    size_t i = 0;
    int bad = 0;
    for (; size - i >= 32 + 16; i += 32, out += 24) {
        __m256i text = _mm256_loadu_si256((const __m256i *)(in + i));
        __m256i high = _mm256_and_si256(_mm256_srli_epi32(text, 4), mask);
        __m256i low = _mm256_and_si256(text, mask);
        bad |= !_mm256_testz_si256(_mm256_shuffle_epi8(by_low, low),
                                   _mm256_shuffle_epi8(by_high, high));
        __m256i slash = _mm256_cmpeq_epi8(text, mask);
        __m256i six = _mm256_add_epi8(
            text, _mm256_shuffle_epi8(shift, _mm256_add_epi8(slash, high)));
        __m256i twelve = _mm256_maddubs_epi16(six, _mm256_set1_epi32(0x01400140));
        __m256i all = _mm256_madd_epi16(twelve, _mm256_set1_epi32(0x00011000));
        all = _mm256_shuffle_epi8(all, squeeze);
        _mm_storeu_si128((__m128i *)out, _mm256_castsi256_si128(all));
        _mm_storeu_si128((__m128i *)(out + 12), _mm256_extracti128_si256(all, 1));
    }
    corrupt += bad;
    return i;
}
#endif

/* `out` has room for 32 bytes more than the result. */
static size_t base64_decode(const unsigned char *in, size_t size, unsigned char *out)
{
    size_t i = 0;
    unsigned char *begin = out;
#if defined(__x86_64__)
    if (vbmi && size > 128)
        i = decode_vbmi(in, size, out);
    else if (avx2 && size > 128)
        i = decode_avx2(in, size, out);
    out += i / 4 * 3;
#endif
    for (; i + 4 <= size; i += 4, out += 3) {
        int pad = (in[i + 3] == '=') + (in[i + 2] == '=');
        int a = value_of[in[i]], b = value_of[in[i + 1]];
        int c = pad > 1 ? 0 : value_of[in[i + 2]], d = pad ? 0 : value_of[in[i + 3]];
        if ((a | b | c | d) < 0)
            corrupt++;
        uint32_t all = (uint32_t)a << 18 | (uint32_t)b << 12 | (uint32_t)c << 6 | (uint32_t)d;
        out[0] = (unsigned char)(all >> 16);
        out[1] = (unsigned char)(all >> 8);
        out[2] = (unsigned char)all;
        out -= pad;
    }
    return (size_t)(out - begin);
}

/* -- accounting --------------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void account(uint32_t named, const unsigned char *pcm, size_t size)
{
    uint32_t tag, index;
    memcpy(&tag, pcm, 4);
    memcpy(&index, pcm + 4, 4);
    while (named >= tags) {
        size_t more = tags ? tags * 2 : 1024;
        next_index = realloc(next_index, more * sizeof *next_index);
        memset(next_index + tags, 0, (more - tags) * sizeof *next_index);
        tags = more;
    }
    if (tag != named)
        misrouted++;
    else if (index != next_index[tag])
        out_of_order++;
    else
        right++;
    next_index[named] = index + 1;
    bytes += (long)size;
    seen++;
    if (verify) {
        unsigned char seed[251];
        for (int i = 0; i < 251; i++)
            seed[i] = (unsigned char)(index * 7 + (uint32_t)i * 13);
        for (size_t i = BODY_AT; i < size; i++)
            if (pcm[i] != seed[(i - BODY_AT) % 251]) {
                corrupt++;
                break;
            }
    }
    if (timed && (index & 3) == 0) {
        uint64_t sent;
        memcpy(&sent, pcm + STAMP_AT, 8);
        if (latency_count == latency_room) {
            latency_room = latency_room ? latency_room * 2 : 4096;
            latencies = realloc(latencies, latency_room * sizeof *latencies);
        }
        latencies[latency_count++] = (double)(now_ns() - sent) / 1000;
    }
}

static void text_frame(const unsigned char *text, size_t size)
{
    static unsigned char pcm[1 << 20];
    events++;
    if (size < sizeof AUDIO || memcmp(text, AUDIO, sizeof AUDIO - 1))
        return;
    const unsigned char *id = memmem(text, size, RESPONSE, sizeof RESPONSE - 1);
    const unsigned char *delta = memmem(text, size, DELTA, sizeof DELTA - 1);
    if (!id || !delta)
        return;
    id += sizeof RESPONSE - 1;
    delta += sizeof DELTA - 1;
    size_t count = base64_decode(delta, (size_t)(text + size - 2 - delta), pcm);
    account((uint32_t)strtoul((const char *)id, NULL, 10), pcm, count);
}

/* -- the connection ----------------------------------------------------------------------- */

static void walk(struct connection *c)
{
    unsigned char *b = c->buffer;
    size_t at = 0;
    while (c->used - at >= 2) {
        size_t size = b[at + 1] & 0x7F, head = 2;
        if (size == 126) {
            if (c->used - at < 4)
                break;
            size = (size_t)b[at + 2] << 8 | b[at + 3];
            head = 4;
        } else if (size == 127) {
            fprintf(stderr, "a frame too long for this client\n");
            exit(1);
        }
        if (c->used - at < head + size)
            break;
        if ((b[at] & 0x0F) == 1)
            text_frame(b + at + head, size);
        at += head + size;
    }
    memmove(b, b + at, c->used - at);
    c->used -= at;
}

static void connect_to(struct connection *c, int port)
{
    static const char request[] =
        "GET /v1/realtime?model=bench HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->buffer = malloc(BUFFER);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) ||
        send(c->fd, request, sizeof request - 1, 0) < 0) {
        perror("connect");
        exit(1);
    }
    unsigned char *end = NULL;
    while (!end) {
        ssize_t n = recv(c->fd, c->buffer + c->used, BUFFER - c->used, 0);
        if (n <= 0)
            exit(1);
        c->used += (size_t)n;
        end = memmem(c->buffer, c->used, "\r\n\r\n", 4);
    }
    end += 4;
    c->used -= (size_t)(end - c->buffer);
    memmove(c->buffer, end, c->used);
    unsigned char frame[128] = {0x81, 0x80 | (sizeof UPDATE - 1)}; /* the mask is zero */
    memcpy(frame + 6, UPDATE, sizeof UPDATE - 1);
    send(c->fd, frame, 6 + sizeof UPDATE - 1, 0);
}

static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* How long this process has waited for a core. */
static double waited_s(void)
{
    double ran = 0, waited = 0;
    FILE *file = fopen("/proc/self/schedstat", "r");
    if (file) {
        if (fscanf(file, "%lf %lf", &ran, &waited) != 2)
            waited = 0;
        fclose(file);
    }
    return waited / 1e9;
}

static long number(const char *plan, const char *name, long otherwise)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\": ", name);
    const char *at = strstr(plan, key);
    if (!at)
        return otherwise;
    at += strlen(key);
    return strncmp(at, "true", 4) ? strtol(at, NULL, 10) : 1;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    const char *plan = argv[1], *host = strstr(plan, "localhost:");
    if (!host)
        return 2;
    int port = atoi(host + strlen("localhost:"));
    long sessions = number(plan, "sessions", 1), core = number(plan, "core", -1);
    expected = number(plan, "expected", 0);
    timed = number(plan, "timed", 0) != 0;
    verify = number(plan, "verify", 0) != 0;
    if (core >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)core, &set);
        sched_setaffinity(0, sizeof set, &set);
    }
    base64_prepare();
    struct connection *all = calloc((size_t)sessions, sizeof *all);
    int poll = epoll_create1(0), stopped = 0;
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(poll, EPOLL_CTL_ADD, 0, &event);
    for (long i = 0; i < sessions; i++) {
        connect_to(&all[i], port);
        event.data.ptr = &all[i];
        epoll_ctl(poll, EPOLL_CTL_ADD, all[i].fd, &event);
    }
    usleep(100000);
    double before = cpu_s(), waited = waited_s();
    uint64_t begin = now_ns();
    printf("{\"ready\": true}\n");
    fflush(stdout);
    while (seen < expected) {
        struct epoll_event ready[64];
        int count = epoll_wait(poll, ready, 64, stopped ? 500 : -1);
        if (count == 0)
            break; /* told that all was sent, and nothing more comes */
        for (int i = 0; i < count; i++) {
            struct connection *c = ready[i].data.ptr;
            if (!c) {
                stopped = 1;
                epoll_ctl(poll, EPOLL_CTL_DEL, 0, NULL);
                continue;
            }
            ssize_t n = recv(c->fd, c->buffer + c->used, BUFFER - c->used, MSG_DONTWAIT);
            if (n > 0) {
                c->used += (size_t)n;
                walk(c);
            } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
                epoll_ctl(poll, EPOLL_CTL_DEL, c->fd, NULL);
            }
        }
    }
    double used = cpu_s() - before;
    printf("{\"cpu_s\": %.6f, \"wall_s\": %.6f, \"waited_s\": %.6f, ", used,
           (double)(now_ns() - begin) / 1e9, waited_s() - waited);
    if (latency_count) {
        qsort(latencies, latency_count, sizeof *latencies, ascending);
        printf("\"latency_us\": {\"50\": %.1f, \"90\": %.1f, \"99\": %.1f}, ",
               latencies[latency_count / 2], latencies[latency_count * 9 / 10],
               latencies[latency_count * 99 / 100]);
    }
    printf("\"right\": %ld, \"misrouted\": %ld, \"out_of_order\": %ld, \"corrupt\": %ld, "
           "\"lost\": %ld, \"bytes\": %ld}\n",
           right, misrouted, out_of_order, corrupt, expected - seen, bytes);
    fflush(stdout);
    if (!stopped) { /* the server may still be sending what comes after the last audio */
        char word[16];
        if (read(0, word, sizeof word) < 0)
            return 1;
    }
    return 0;
}
