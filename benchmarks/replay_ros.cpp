// Hears the topic `imu` of ROS 1, and at the end says when each message came: its number, and ns of the
// monotonic clock.
#include <ctime>
#include <cstdio>
#include <utility>
#include <vector>

#include <ros/ros.h>
#include <sensor_msgs/Imu.h>

static std::vector<std::pair<unsigned, long long>> heard;

static void hear(const sensor_msgs::Imu::ConstPtr& message) {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  heard.emplace_back(message->header.seq, now.tv_sec * 1000000000LL + now.tv_nsec);
}

int main(int argc, char** argv) {
  ros::init(argc, argv, "hearer");
  ros::NodeHandle node;
  heard.reserve(1 << 20);
  ros::Subscriber subscriber = node.subscribe("imu", 100000, hear, ros::TransportHints().tcpNoDelay());
  std::printf("ready\n");
  std::fflush(stdout);
  ros::spin();
  for (const auto& one : heard) std::printf("%u %lld\n", one.first, one.second);
  return 0;
}
