// One measuring process over roscpp; the same work, board and events as node.py, which says what they are.
//   ros_cpp ROLE FOLDER INDEX SECONDS RATE SUBSCRIBERS WINDOW KEEP ROWS COLUMNS
#include <ros/ros.h>
#include <sensor_msgs/Image.h>
#include <std_msgs/UInt8MultiArray.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr int RECEIVED = 0, FINISHED = 8, SENT = 16, GOT = 24;
constexpr int64_t WARM = int64_t{1} << 40, END = int64_t{1} << 41, STARTED_AGAIN = 1 << 20;
constexpr int WARM_UP = 10;
constexpr double PATIENCE = 20.0;
constexpr int64_t SECOND = 1000000000;

int64_t now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

void sleep_until(int64_t moment) {
    timespec time{moment / SECOND, moment % SECOND};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nullptr);
}

struct Run {
    std::string folder;
    int index;
    double seconds;
    int rate, subscribers, window, keep, rows, columns;
    volatile int64_t *words;

    bool small() const { return rows == 0; }
    size_t size() const { return small() ? 48 : size_t(rows) * columns * 3; }

    void tell(const std::string &event) const {
        std::ofstream(folder + "/events", std::ios::app) << event + "\n" << std::flush;
    }
};

volatile int64_t *board(const std::string &folder) {
    const int file = open((folder + "/board").c_str(), O_RDWR);
    void *words = mmap(nullptr, size_t(getpagesize()), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file < 0 || words == MAP_FAILED) throw std::runtime_error("there is no board in " + folder);
    return static_cast<volatile int64_t *>(words);
}

// Calls `each` with 0, 1, 2 ... at that rate until it returns true, or `count` times.
void beats(double rate, int64_t count, const std::function<bool(int64_t)> &each) {
    const int64_t start = now();
    for (int64_t number = 0; count < 0 || number < count; number++) {
        if (each(number)) return;
        sleep_until(start + int64_t(double(number + 1) / rate * SECOND));
    }
}

// What a subscriber does with each message, and what it remembers of them.
struct Ear {
    const Run &run;
    std::vector<int64_t> latencies;
    int64_t count = 0, wrong = 0, first = 0, last = 0;

    void take(int64_t stamp, int64_t seq, const std::vector<uint8_t> *frame) {
        const int64_t time = now();
        volatile int64_t &got = run.words[GOT + seq / STARTED_AGAIN % 8];
        if (run.seconds == 0 && !got) got = time;
        const uint8_t value = uint8_t(seq);
        if (frame && (frame->size() != run.size() || frame->front() != value || frame->back() != value)) wrong++;
        if (seq < WARM) {
            count++;
            if (run.rate) latencies.push_back(time - stamp);
            if (!first) first = time;
            last = time;
        }
        run.words[RECEIVED + run.index] = run.words[RECEIVED + run.index] + 1;
        if (seq >= END) finish();
    }

    [[noreturn]] void finish() const {
        const std::string name = run.folder + "/subscriber" + std::to_string(run.index) + ".json";
        std::ofstream file(name);
        file << "{\"latencies\": [";
        for (size_t number = 0; number < latencies.size(); number++) file << (number ? "," : "") << latencies[number];
        file << "], \"count\": " << count << ", \"wrong\": " << wrong
             << ", \"seconds\": " << double(last - first) / SECOND << "}" << std::flush;
        run.words[FINISHED + run.index] = 1;
        run.tell("finished");
        _exit(0);
    }
};

[[noreturn]] void subscribe(const Run &run, ros::NodeHandle &node) {
    Ear ear{run, {}};
    boost::function<void(const std_msgs::UInt8MultiArrayConstPtr &)> sample = [&](const auto &message) {
        int64_t told[2];
        std::memcpy(told, message->data.data(), sizeof told);
        ear.take(told[0], told[1], nullptr);
    };
    boost::function<void(const sensor_msgs::ImageConstPtr &)> image = [&](const auto &message) {
        const auto &stamp = message->header.stamp;
        ear.take(stamp.sec * SECOND + stamp.nsec, std::stoll(message->header.frame_id), &message->data);
    };
    const auto hints = ros::TransportHints().tcpNoDelay();
    const auto keep = uint32_t(run.keep);
    const ros::Subscriber inlet =
        run.small() ? node.subscribe<std_msgs::UInt8MultiArray>("topic", keep, sample, nullptr, hints)
                    : node.subscribe<sensor_msgs::Image>("topic", keep, image, nullptr, hints);
    run.tell("ready");
    ros::spin();
    _exit(0);
}

// How a publisher sends: the frame is in its own array before it gets its stamp.
struct Mouth {
    const Run &run;
    ros::Publisher outlet;
    std::vector<std::vector<uint8_t>> payloads;

    Mouth(const Run &told, ros::NodeHandle &node)
        : run(told),
          outlet(told.small() ? node.advertise<std_msgs::UInt8MultiArray>("topic", uint32_t(told.keep))
                              : node.advertise<sensor_msgs::Image>("topic", uint32_t(told.keep))) {
        uint32_t noise = 1;
        for (int number = 0; number < (run.small() ? 1 : 3); number++) {
            payloads.emplace_back(run.size());
            for (uint8_t &byte : payloads.back()) byte = uint8_t((noise = noise * 1664525 + 1013904223) >> 24);
        }
    }

    void put(int64_t seq) {
        std::vector<uint8_t> &payload = payloads[size_t(seq) % payloads.size()];
        if (run.small()) {
            const int64_t told[2] = {now(), seq};
            std_msgs::UInt8MultiArray message;
            message.data.resize(sizeof told + payload.size());
            std::memcpy(message.data.data(), told, sizeof told);
            std::memcpy(message.data.data() + sizeof told, payload.data(), payload.size());
            outlet.publish(message);
            return;
        }
        payload.front() = payload.back() = uint8_t(seq);
        const int64_t stamp = now();
        const sensor_msgs::ImagePtr message(new sensor_msgs::Image);
        message->header.stamp.sec = uint32_t(stamp / SECOND);
        message->header.stamp.nsec = uint32_t(stamp % SECOND);
        message->header.frame_id = std::to_string(seq);  // its own seq is roscpp's
        message->height = uint32_t(run.rows);
        message->width = uint32_t(run.columns);
        message->encoding = "bgr8";
        message->step = uint32_t(run.columns) * 3;
        message->data = payload;
        outlet.publish(message);
    }
};

int64_t steady(const Run &run, Mouth &mouth) {
    const int64_t count = std::lround(run.rate * run.seconds);
    beats(run.rate, count, [&](int64_t number) {
        mouth.put(number);
        if (number == count / 2) run.tell("half");
        return false;
    });
    return count;
}

int64_t flood(const Run &run, Mouth &mouth) {
    int64_t number = 0, base = run.words[RECEIVED];
    const int64_t end = now() + int64_t(run.seconds * SECOND);
    for (int64_t time = now(); time < end; time = now()) {
        while (number - (run.words[RECEIVED] - base) >= run.window) {
            usleep(20);
            if (now() > time + SECOND / 2) base = run.words[RECEIVED] - number;
        }
        mouth.put(number++);
    }
    for (int64_t time = now(); run.words[RECEIVED] - base < number && now() < time + SECOND / 2;) usleep(1000);
    return number;
}

void start(const Run &run, Mouth &mouth) {
    run.words[SENT + run.index] = now();
    beats(run.rate, std::lround(run.rate * PATIENCE), [&](int64_t number) {
        mouth.put(run.index * STARTED_AGAIN + number);
        if (!run.words[GOT + run.index]) return false;
        run.tell("heard");
        for (;;) pause();
    });
    run.tell("failed: nobody heard it in time");
}

void publish(const Run &run, ros::NodeHandle &node) {
    Mouth mouth(run, node);
    if (run.seconds == 0) return start(run, mouth);
    const auto all = [&](int word, int64_t least) {
        for (int one = 0; one < run.subscribers; one++)
            if (run.words[word + one] < least) return false;
        return true;
    };
    const double rate = run.rate ? run.rate : 1000;
    beats(rate, std::lround(rate * PATIENCE), [&](int64_t number) {
        mouth.put(WARM + number);
        return all(RECEIVED, WARM_UP);
    });
    if (!all(RECEIVED, WARM_UP)) return run.tell("failed: no subscriber heard anything in time");
    run.tell("begin");
    const int64_t sent = run.rate ? steady(run, mouth) : flood(run, mouth);
    run.tell("end " + std::to_string(sent));
    beats(10, 50, [&](int64_t number) {  // the last word may be lost, too
        if (all(FINISHED, 1)) return true;
        mouth.put(END + number);
        return false;
    });
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 11) return 2;
    const std::string role = argv[1];
    const auto number = [&](int place) { return std::stoi(argv[place]); };
    const Run run{argv[2],   number(3), std::stod(argv[4]), number(5),  number(6),
                  number(7), number(8), number(9),          number(10), board(argv[2])};
    alarm(60);  // no orphan, whatever happens
    const bool publishes = role == "publisher";
    ros::init(argc, argv, publishes ? role : role + std::to_string(run.index), ros::init_options::NoSigintHandler);
    ros::NodeHandle node;
    if (!publishes) subscribe(run, node);
    publish(run, node);
    _exit(0);
}
