// Apple's GPUs through Metal. The launch logic is the one that all GPU backends share; here are its memory, its stream and
// its kernels.
//
// A device address is a buffer's gpuAddress: kernels follow the pointers in their arguments, which lie in a buffer too, and
// each encoder is told of all buffers. Nothing is tracked by Metal: encoders are ordered by a fence, and the launches of one by barriers. A step
// is one command buffer, encoded anew at each run.
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>

#include <array>
#include <deque>
#include <map>
#include <mutex>

#include "../gpu/images.hpp"
#include "../gpu/runtime.h"
#include "cores.hpp"
#include "working_set.hpp"

namespace talaria::gpu {
namespace {

std::string text_of(NSString* text) { return text == nil ? "" : [text UTF8String]; }
std::string text_of(NSError* error) { return error == nil ? "no reason was given" : text_of([error localizedDescription]); }

WorkingSet working_set(id<MTLDevice> device) {
  return {static_cast<int64_t>([device recommendedMaxWorkingSetSize]),
          static_cast<int64_t>([device currentAllocatedSize]),
          static_cast<int64_t>([[NSProcessInfo processInfo] physicalMemory])};
}

// --- a device -----------------------------------------------------------------------------------------------------------

// Launches, and their arguments one behind the other.
struct MetalGraph final : Graph {
  MetalGraph(std::span<const Launch> launches, id<MTLBuffer> args)
      : launches(launches.begin(), launches.end()), args(args) {}
  std::vector<Launch> launches;
  id<MTLBuffer> args;
};
constexpr NSUInteger args_bytes = 512;  // from one launch's to the next one's
static_assert(sizeof Launch::args <= args_bytes);

// A command buffer, and its number in the stream. They end in their order.
struct Numbered {
  id<MTLCommandBuffer> buffer = nil;
  uint64_t number = 0;
};

// A point in the stream is the end of a command buffer; nil: nothing was there before it.
struct MetalEvent final : Event {
  Numbered at;
};

class MetalRuntime final : public Runtime {
 public:
  MetalRuntime(int32_t index, id<MTLDevice> device, Properties properties)
      : name_("metal:" + std::to_string(index)), device_(device), properties_(std::move(properties)) {
    @autoreleasepool {
      queue_ = [device_ newCommandQueue];
      fence_ = [device_ newFence];
      if (queue_ == nil || fence_ == nil) throw Fault{TALARIA_OUT_OF_MEMORY, name_ + " has no room for a command queue"};
      load_kernels();
    }
  }
  ~MetalRuntime() override {
    try {
      synchronize();
    } catch (const Fault&) {  // it is lost, and was reported as such
    }
  }

  const Properties& properties() const override { return properties_; }
  int64_t free_bytes() override {
    WorkingSet set = working_set(device_);
    return std::max<int64_t>(set.limit - set.used, 0);
  }

  void* allocate(int64_t bytes, const char* what) override;
  void release(void* memory) noexcept override { memory_.erase(reinterpret_cast<uint64_t>(memory)); }
  void* allocate_host(int64_t bytes) override;
  void* map_host(void*, int64_t) override { throw Fault{TALARIA_UNSUPPORTED, "Metal's kernels do not wait for other devices"}; }
  void unmap_host(void*) noexcept override {}
  std::shared_ptr<void> allocate_peer(int64_t, const char*) override {
    throw Fault{TALARIA_UNSUPPORTED, "no device reaches the memory of a Metal device"};
  }
  bool reaches(int32_t) override { return false; }
  void release_host(void* memory) noexcept override { host_.erase(static_cast<uint8_t*>(memory)); }

  void upload(void* target, const void* host, int64_t bytes) override;
  void download(void* host, const void* source, int64_t bytes) override;
  void copy(void* target, const void* source, int64_t bytes) override;
  void fill(void* target, uint8_t value, int64_t bytes) override;

  void launch(const Launch& launch) override {
    @autoreleasepool {
      encode_all(MetalGraph(std::span(&launch, 1), args_of(std::span(&launch, 1))));
    }
  }
  std::unique_ptr<Graph> capture(std::span<const Launch> launches) override {
    @autoreleasepool {
      for (const Launch& each : launches) pipeline(each);  // what cannot run shows here
      return std::make_unique<MetalGraph>(launches, args_of(launches));
    }
  }
  void replay(Graph& graph) override {
    @autoreleasepool {
      encode_all(static_cast<MetalGraph&>(graph));
    }
  }

  std::unique_ptr<Event> new_event() override { return std::make_unique<MetalEvent>(); }
  void record(Event& event) override {
    static_cast<MetalEvent&>(event).at = buffer_ != nil ? Numbered{buffer_, last_.number + 1} : last_;
  }
  void wait(Event& event) override {
    @autoreleasepool {
      wait_for(static_cast<MetalEvent&>(event).at.number);
    }
  }
  double elapsed_ms(Event& from, Event& to) override {
    id<MTLCommandBuffer> begin = static_cast<MetalEvent&>(from).at.buffer, end = static_cast<MetalEvent&>(to).at.buffer;
    if (end == nil) return 0;
    double start = [end GPUStartTime];
    if (begin != nil && begin != end) start = std::max(start, [begin GPUEndTime]);
    return ([end GPUEndTime] - start) * 1e3;
  }
  void synchronize() override {
    @autoreleasepool {
      wait_for(last_.number + (buffer_ != nil ? 1 : 0));
    }
  }

 private:
  // A range of device memory: a buffer and where in it.
  struct Place {
    id<MTLBuffer> buffer;
    NSUInteger offset;
  };

  void load_kernels();
  id<MTLLibrary> library_of(const Image& image);
  id<MTLComputePipelineState> pipeline(const Launch& launch);
  Place place(const void* address, int64_t bytes, const char* doing);

  void check_lost() const {
    if (!lost_.empty()) throw Fault{TALARIA_LOST, lost_};
  }
  void begin_buffer();
  id<MTLComputeCommandEncoder> compute();
  id<MTLBlitCommandEncoder> blit();
  void end_encoder();
  id<MTLBuffer> args_of(std::span<const Launch> launches);
  void encode_all(const MetalGraph& graph);
  void commit();
  void wait_for(uint64_t number);
  void check(id<MTLCommandBuffer> done);

  const std::string name_;
  id<MTLDevice> device_;
  Properties properties_;
  id<MTLCommandQueue> queue_;
  id<MTLFence> fence_;
  std::array<id<MTLFunction>, static_cast<size_t>(Kernel::count)> functions_{};
  std::array<id<MTLComputePipelineState>, static_cast<size_t>(Kernel::count)> pipelines_{};
  std::map<uint64_t, id<MTLBuffer>> memory_;  // by gpuAddress
  std::map<const uint8_t*, id<MTLBuffer>> host_;  // by contents
  id<MTLCommandBuffer> buffer_ = nil;  // being encoded
  Numbered last_;                      // committed last
  std::deque<Numbered> running_;       // committed, and not known to have ended
  id<MTLComputeCommandEncoder> compute_ = nil;
  id<MTLBlitCommandEncoder> blit_ = nil;
  bool fenced_ = false;  // whether an encoder has updated the fence
  std::string lost_;
};

// --- kernels --------------------------------------------------------------------------------------------------------------

// Compiled now from source, or by the build. Products and sums are contracted nowhere, and nothing is approximated.
id<MTLLibrary> MetalRuntime::library_of(const Image& image) {
  NSError* error = nil;
  id<MTLLibrary> library = nil;
  if (std::strcmp(image.architecture, "metallib") == 0) {
    dispatch_data_t data = dispatch_data_create(image.data, image.bytes, nil, DISPATCH_DATA_DESTRUCTOR_DEFAULT);
    library = [device_ newLibraryWithData:data error:&error];
  } else {
    MTLCompileOptions* options = [MTLCompileOptions new];
    options.languageVersion = MTLLanguageVersion3_0;
    options.fastMathEnabled = NO;
    NSString* source = [NSString stringWithUTF8String:reinterpret_cast<const char*>(image.data)];  // a zero byte follows
    library = [device_ newLibraryWithSource:source options:options error:&error];
  }
  if (library == nil) {
    throw Fault{TALARIA_UNSUPPORTED, name_ + " (" + properties_.name + ") cannot be used: " + image.file +
                                         ".metal does not compile: " + text_of(error)};
  }
  return library;
}

void MetalRuntime::load_kernels() {
  std::vector<id<MTLLibrary>> libraries;
  for (const Image& image : std::span(images, image_count)) libraries.push_back(library_of(image));
  for (size_t i = 0; i < functions_.size(); i++) {
    auto kernel = static_cast<Kernel>(i);
    if ((kernel_needs(kernel) & ~properties_.needs) != 0) continue;
    NSString* symbol = [NSString stringWithUTF8String:(std::string("talaria_") + kernel_name(kernel)).c_str()];
    for (id<MTLLibrary> library : libraries) {
      if (functions_[i] == nil) functions_[i] = [library newFunctionWithName:symbol];
    }
    if (functions_[i] == nil) {
      throw Fault{TALARIA_UNSUPPORTED, name_ + " cannot be used: the kernel " + kernel_name(kernel) + " is not there"};
    }
  }
}

// Made when it is first launched: most kernels are for formats that a model does not have.
id<MTLComputePipelineState> MetalRuntime::pipeline(const Launch& launch) {
  auto at = static_cast<size_t>(launch.kernel);
  std::string kernel = kernel_name(launch.kernel);
  if (at >= functions_.size() || functions_[at] == nil) {
    throw Fault{TALARIA_UNSUPPORTED, "the kernel " + kernel + " does not run on " + properties_.architecture};
  }
  if (pipelines_[at] == nil) {
    NSError* error = nil;
    pipelines_[at] = [device_ newComputePipelineStateWithFunction:functions_[at] error:&error];
    if (pipelines_[at] == nil) {
      throw Fault{TALARIA_UNSUPPORTED, "the kernel " + kernel + " does not run on " + name_ + ": " + text_of(error)};
    }
  }
  if ([pipelines_[at] threadExecutionWidth] != 32 || [pipelines_[at] maxTotalThreadsPerThreadgroup] < launch.threads) {
    throw Fault{TALARIA_UNSUPPORTED, "the kernel " + kernel + " runs on " + name_ + " with " +
                                         std::to_string([pipelines_[at] threadExecutionWidth]) + " lanes and at most " +
                                         std::to_string([pipelines_[at] maxTotalThreadsPerThreadgroup]) +
                                         " threads, and needs 32 and " + std::to_string(launch.threads)};
  }
  return pipelines_[at];
}

// --- memory ---------------------------------------------------------------------------------------------------------------

constexpr MTLResourceOptions shared_memory = MTLResourceStorageModeShared | MTLResourceHazardTrackingModeUntracked;

void* MetalRuntime::allocate(int64_t bytes, const char* what) {
  check_lost();
  @autoreleasepool {
    WorkingSet set = working_set(device_);
    int64_t most = static_cast<int64_t>([device_ maxBufferLength]);
    if (bytes > most) {
      throw Fault{TALARIA_OUT_OF_MEMORY, std::string(what) + " needs " + std::to_string(bytes) +
                                             " bytes at once, and a buffer of " + name_ + " has at most " +
                                             std::to_string(most)};
    }
    id<MTLBuffer> buffer = nil;
    if (set.used + bytes <= set.limit) {
      buffer = [device_ newBufferWithLength:static_cast<NSUInteger>(std::max<int64_t>(bytes, 1)) options:shared_memory];
    }
    if (buffer == nil) throw Fault{TALARIA_OUT_OF_MEMORY, refusal(set, what, bytes)};
    uint64_t address = [buffer gpuAddress];
    memory_[address] = buffer;
    return reinterpret_cast<void*>(address);
  }
}

void* MetalRuntime::allocate_host(int64_t bytes) {
  check_lost();
  @autoreleasepool {
    id<MTLBuffer> buffer = [device_ newBufferWithLength:static_cast<NSUInteger>(std::max<int64_t>(bytes, 1))
                                                options:shared_memory];
    if (buffer == nil) throw Fault{TALARIA_OUT_OF_MEMORY, refusal(working_set(device_), "memory for copies", bytes)};
    host_[static_cast<uint8_t*>([buffer contents])] = buffer;
    return [buffer contents];
  }
}

MetalRuntime::Place MetalRuntime::place(const void* address, int64_t bytes, const char* doing) {
  uint64_t at = reinterpret_cast<uint64_t>(address);
  auto after = memory_.upper_bound(at);
  if (after != memory_.begin()) {
    auto [begin, buffer] = *std::prev(after);
    uint64_t length = [buffer length];
    if (at - begin <= length && static_cast<uint64_t>(bytes) <= length - (at - begin)) return {buffer, at - begin};
  }
  throw Fault{TALARIA_INVALID, std::string(doing) + " of " + std::to_string(bytes) + " bytes that are not all in one buffer"};
}

// In the stream's order. Memory that is not pinned is copied at once.
void MetalRuntime::upload(void* target, const void* host, int64_t bytes) {
  if (bytes == 0) return;
  check_lost();
  @autoreleasepool {
    Place to = place(target, bytes, "upload");
    auto* from = static_cast<const uint8_t*>(host);
    auto after = host_.upper_bound(from);
    Place source{nil, 0};
    if (after != host_.begin()) {
      auto [begin, buffer] = *std::prev(after);
      NSUInteger offset = static_cast<NSUInteger>(from - begin);
      if (offset + static_cast<NSUInteger>(bytes) <= [buffer length]) source = {buffer, offset};
    }
    if (source.buffer == nil) {
      source.buffer = [device_ newBufferWithBytes:host length:static_cast<NSUInteger>(bytes)
                                          options:MTLResourceStorageModeShared];
      if (source.buffer == nil) throw Fault{TALARIA_OUT_OF_MEMORY, refusal(working_set(device_), "a copy", bytes)};
    }
    [blit() copyFromBuffer:source.buffer sourceOffset:source.offset toBuffer:to.buffer destinationOffset:to.offset
                      size:static_cast<NSUInteger>(bytes)];
  }
}

void MetalRuntime::download(void* host, const void* source, int64_t bytes) {
  if (bytes == 0) return;
  synchronize();
  @autoreleasepool {
    Place from = place(source, bytes, "download");
    std::memcpy(host, static_cast<const uint8_t*>([from.buffer contents]) + from.offset, static_cast<size_t>(bytes));
  }
}

void MetalRuntime::copy(void* target, const void* source, int64_t bytes) {
  if (bytes == 0) return;
  check_lost();
  @autoreleasepool {
    Place from = place(source, bytes, "copy"), to = place(target, bytes, "copy");
    [blit() copyFromBuffer:from.buffer sourceOffset:from.offset toBuffer:to.buffer destinationOffset:to.offset
                      size:static_cast<NSUInteger>(bytes)];
  }
}

void MetalRuntime::fill(void* target, uint8_t value, int64_t bytes) {
  if (bytes == 0) return;
  check_lost();
  @autoreleasepool {
    Place to = place(target, bytes, "fill");
    [blit() fillBuffer:to.buffer range:NSMakeRange(to.offset, static_cast<NSUInteger>(bytes)) value:value];
  }
}

// --- the stream -----------------------------------------------------------------------------------------------------------

void MetalRuntime::begin_buffer() {
  check_lost();
  if (buffer_ == nil) buffer_ = [queue_ commandBuffer];
  if (buffer_ == nil) throw Fault{TALARIA_OUT_OF_MEMORY, name_ + " has no room for a command buffer"};
}

id<MTLComputeCommandEncoder> MetalRuntime::compute() {
  if (compute_ != nil) return compute_;
  end_encoder();
  begin_buffer();
  compute_ = [buffer_ computeCommandEncoderWithDispatchType:MTLDispatchTypeConcurrent];
  if (compute_ == nil) throw Fault{TALARIA_OUT_OF_MEMORY, name_ + " has no room for commands"};
  if (fenced_) [compute_ waitForFence:fence_];
  for (const auto& [address, buffer] : memory_) {
    [compute_ useResource:buffer usage:MTLResourceUsageRead | MTLResourceUsageWrite];
  }
  return compute_;
}

// A new one each time: what one encoder copies may overlap.
id<MTLBlitCommandEncoder> MetalRuntime::blit() {
  end_encoder();
  begin_buffer();
  blit_ = [buffer_ blitCommandEncoder];
  if (blit_ == nil) throw Fault{TALARIA_OUT_OF_MEMORY, name_ + " has no room for commands"};
  if (fenced_) [blit_ waitForFence:fence_];
  return blit_;
}

void MetalRuntime::end_encoder() {
  if (compute_ != nil) {
    [compute_ updateFence:fence_];
    [compute_ endEncoding];
  }
  if (blit_ != nil) {
    [blit_ updateFence:fence_];
    [blit_ endEncoding];
  }
  fenced_ = fenced_ || compute_ != nil || blit_ != nil;
  compute_ = nil, blit_ = nil;
}

id<MTLBuffer> MetalRuntime::args_of(std::span<const Launch> launches) {
  check_lost();
  NSUInteger bytes = launches.size() * args_bytes;
  id<MTLBuffer> args = [device_ newBufferWithLength:bytes options:shared_memory];
  if (args == nil) {
    throw Fault{TALARIA_OUT_OF_MEMORY, refusal(working_set(device_), "a step's arguments", static_cast<int64_t>(bytes))};
  }
  auto* to = static_cast<uint8_t*>([args contents]);
  for (const Launch& launch : launches) std::memcpy(to, launch.args, launch.args_bytes), to += args_bytes;
  return args;
}

// One command buffer, with what was copied before it in it.
void MetalRuntime::encode_all(const MetalGraph& graph) {
  id<MTLComputeCommandEncoder> encoder = compute();
  NSUInteger offset = 0;
  for (const Launch& launch : graph.launches) {
    [encoder setComputePipelineState:pipeline(launch)];
    [encoder setBuffer:graph.args offset:offset atIndex:0];
    [encoder dispatchThreadgroups:MTLSizeMake(launch.grid[0], launch.grid[1], launch.grid[2])
            threadsPerThreadgroup:MTLSizeMake(launch.threads, 1, 1)];
    [encoder memoryBarrierWithScope:MTLBarrierScopeBuffers];  // every launch reads what the one before it wrote
    offset += args_bytes;
  }
  commit();
}

void MetalRuntime::commit() {
  if (buffer_ == nil) return;
  end_encoder();
  [buffer_ commit];
  last_ = {buffer_, last_.number + 1};
  running_.push_back(last_);
  buffer_ = nil;
  while ([running_.front().buffer status] == MTLCommandBufferStatusCompleted && running_.size() > 1) running_.pop_front();
}

// The host waits until the command buffer of this number has ended, and all before it.
void MetalRuntime::wait_for(uint64_t number) {
  if (number > last_.number) commit();
  check_lost();
  while (!running_.empty() && running_.front().number <= number) {
    id<MTLCommandBuffer> buffer = running_.front().buffer;
    running_.pop_front();
    check(buffer);
  }
}

// Too little memory for what a command buffer uses leaves the device as it was; after a fault nothing can be trusted.
void MetalRuntime::check(id<MTLCommandBuffer> done) {
  [done waitUntilCompleted];
  if ([done status] != MTLCommandBufferStatusError) return;
  NSError* error = [done error];
  if (error != nil && [error code] == MTLCommandBufferErrorOutOfMemory) {
    throw Fault{TALARIA_OUT_OF_MEMORY, name_ + " had not enough memory for a step: " + text_of(error) +
                                           "; use a shorter context, or end what else uses the GPU"};
  }
  lost_ = "the device " + name_ + " is lost: " + text_of(error);
  throw Fault{TALARIA_LOST, lost_};
}

// --- the devices ------------------------------------------------------------------------------------------------------------

// Those that kernels are written for: 32 lanes, matrices of a simdgroup, pointers in arguments (M1 and later).
bool is_usable(id<MTLDevice> device) {
  return [device supportsFamily:MTLGPUFamilyApple7] && [device supportsFamily:MTLGPUFamilyMetal3] &&
         [device hasUnifiedMemory];
}

Properties describe(id<MTLDevice> device) {
  Properties result;
  result.name = text_of([device name]);
  result.architecture = "apple7";
  if ([device supportsFamily:MTLGPUFamilyApple8]) result.architecture = "apple8";
  if ([device supportsFamily:MTLGPUFamilyApple9]) result.architecture = "apple9";
  result.memory_bytes = working_set(device).limit;
  result.page_bytes = 16 << 10;
  result.processors = apple_cores(result.name);
  result.shared_bytes = static_cast<int64_t>([device maxThreadgroupMemoryLength]);
  result.needs = SIMDGROUP;
  return result;
}

class MetalDriver final : public Driver {
 public:
  const char* name() const override { return "metal"; }
  int32_t device_count() override {
    @autoreleasepool {
      return static_cast<int32_t>(devices().size());
    }
  }
  Properties properties(int32_t index) override {
    @autoreleasepool {
      return describe(device(index));
    }
  }
  int64_t free_bytes(int32_t index) override {
    @autoreleasepool {
      WorkingSet set = working_set(device(index));
      return std::max<int64_t>(set.limit - set.used, 0);
    }
  }
  std::unique_ptr<Runtime> open(int32_t index, bool) override {
    @autoreleasepool {
      id<MTLDevice> opened = device(index);
      return std::make_unique<MetalRuntime>(index, opened, describe(opened));
    }
  }

 private:
  // Asked once: each answer would be a new object, with a count of its memory of its own.
  const std::vector<id<MTLDevice>>& devices() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!absent_.empty()) throw Fault{TALARIA_UNSUPPORTED, absent_};
    if (!devices_.empty()) return devices_;
    std::string others;
    for (id<MTLDevice> found in MTLCopyAllDevices()) {
      if (is_usable(found)) {
        devices_.push_back(found);
      } else {
        others += (others.empty() ? "" : ", ") + text_of([found name]);
      }
    }
    if (!devices_.empty()) return devices_;
    absent_ = others.empty() ? "macOS shows no GPU"
                             : "kernels are for Apple's own GPUs, from M1 on and with macOS 13 or later; there is " + others +
                                   ". AMD's cards in a Mac Pro are reached through OpenCL: name the device opencl:0";
    throw Fault{TALARIA_UNSUPPORTED, absent_};
  }

  id<MTLDevice> device(int32_t index) {
    const std::vector<id<MTLDevice>>& all = devices();
    if (index < 0 || static_cast<size_t>(index) >= all.size()) {
      throw Fault{TALARIA_INVALID, "there is no device metal:" + std::to_string(index)};
    }
    return all[static_cast<size_t>(index)];
  }

  std::mutex mutex_;
  std::vector<id<MTLDevice>> devices_;
  std::string absent_;
};

}  // namespace

Driver& driver() {
  static MetalDriver* the_driver = new MetalDriver();  // for good: at exit other threads may still use it
  return *the_driver;
}

}  // namespace talaria::gpu
