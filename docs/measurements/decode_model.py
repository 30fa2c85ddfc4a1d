#!/usr/bin/env python3
"""What one layer of Mixtral takes to decode a token, by a model: python3 docs/measurements/decode_model.py

Memory is a queue with a bandwidth and a latency; a warp loads a batch, waits for it, and computes on a scheduler that issues one
instruction a cycle; blocks of threads fill processors by their registers, and the next launch's blocks come early where there is
room. It predicts what a change of shapes, registers or instructions does before there is a GPU to measure it on. It knows no
caches but for what was asked for ahead, and its latencies are what such GPUs are known for: a prediction, no measurement.
"""
import collections
import heapq
import math

Gpu = collections.namedtuple('Gpu', 'name processors bandwidth latency cached_latency clock warps early')  # bytes/us, us, MHz
H200 = Gpu('H200', 132, 4.3e6, 0.70, 0.28, 1755, 64, True)
RTX_5090 = Gpu('RTX 5090', 170, 1.62e6, 0.60, 0.28, 2400, 48, True)
A100 = Gpu('A100', 108, 1.8e6, 0.65, 0.25, 1410, 64, False)

REGISTERS = 65536        # of a processor
ISSUE = 0.75             # share of cycles in which a scheduler with work issues
LAUNCH, LATE = 1.0, 1.4  # us from the end of a launch to the loads of the next one: started early, or not
BLOCK = 0.2              # us until a block runs


class Kernel:
    """`batches` of `bytes` for each of a warp's `steps`, at so many instructions a byte. `early`: bytes that a warp asks for
    before it waits for the launch before; `ahead`: batches that it asks for before it needs them; `fixed`: us, if it is latency
    alone; `prologue`: us before the first load."""

    def __init__(self, name, blocks, warps, registers, steps=1, batches=1, bytes=0, instructions=0, early=0, ahead=0, fixed=0,
                 prologue=0.6):
        self.__dict__.update(locals())

    def total(self):
        return self.blocks * self.warps * self.steps * self.batches * self.bytes


class Run:
    """One kernel's launch while it is simulated."""

    def __init__(self, kernel):
        self.kernel, self.next, self.left = kernel, 0, kernel.blocks
        self.open, self.ready, self.done, self.waiting = False, None, None, []


class Block:
    def __init__(self, launch, processor):
        self.launch, self.processor, self.left, self.early_at = launch, processor, 0, None


class Model:
    def __init__(self, gpu, kernels):
        self.gpu, self.runs = gpu, [Run(k) for k in kernels]
        self.events, self.order = [], 0
        self.memory_free, self.scheduler_free = 0.0, collections.defaultdict(float)
        self.registers, self.warps = [REGISTERS] * gpu.processors, [gpu.warps] * gpu.processors

    def at(self, time, what, *args):
        self.order += 1
        heapq.heappush(self.events, (time, self.order, what, args))

    def run(self):
        """When each launch ends, in us."""
        self.runs[0].ready = 0.0
        self.open(0.0, 0)
        while self.events:
            time, _, what, args = heapq.heappop(self.events)
            what(time, *args)
        return [r.done for r in self.runs]

    def fetch(self, time, bytes):
        self.memory_free = max(time, self.memory_free) + bytes / self.gpu.bandwidth
        return self.memory_free + self.gpu.latency

    def block_registers(self, kernel):
        return (kernel.registers + 7) // 8 * 8 * 32 * kernel.warps

    def open(self, time, launch):
        self.runs[launch].open = True
        self.place(time)

    def place(self, time):
        for launch, run in enumerate(self.runs):
            if not run.open or run.next >= run.kernel.blocks:
                continue
            need, placed = self.block_registers(run.kernel), True
            while placed:
                placed = False
                for processor in range(self.gpu.processors):
                    if run.next >= run.kernel.blocks:
                        break
                    if self.registers[processor] >= need and self.warps[processor] >= run.kernel.warps:
                        self.registers[processor] -= need
                        self.warps[processor] -= run.kernel.warps
                        run.next, placed = run.next + 1, True
                        self.at(time + BLOCK, self.start, Block(launch, processor))
            self.start_next(time, launch)

    def start_next(self, time, launch):
        """The launch after one all of whose blocks run, and have been let go."""
        run = self.runs[launch]
        if run.next >= run.kernel.blocks and launch + 1 < len(self.runs) and self.gpu.early and run.ready is not None:
            if not self.runs[launch + 1].open:
                self.at(max(time, run.ready) + 0.5, self.open, launch + 1)

    def start(self, time, block):
        run = self.runs[block.launch]
        if run.kernel.early and self.gpu.early:
            block.early_at = self.fetch(time, run.kernel.early * run.kernel.warps)
        if run.ready is None:
            run.waiting.append(block)
        else:
            self.go(max(time, run.ready), block)

    def go(self, time, block):
        kernel = self.runs[block.launch].kernel
        block.left = kernel.warps
        for warp in range(kernel.warps):
            self.at(time + (kernel.fixed or kernel.prologue), self.load, block, warp, 0, [])

    def load(self, time, block, warp, batch, asked):
        """`asked`: when each batch so far arrives in the second cache or, without `ahead`, in registers."""
        kernel = self.runs[block.launch].kernel
        count = 0 if kernel.fixed else kernel.steps * kernel.batches
        if batch == count:
            block.left -= 1
            if block.left == 0:
                self.at(time + 0.1, self.end, block)
            return
        early = int(kernel.early / kernel.bytes + 1e-9) if block.early_at is not None else 0
        while len(asked) < min(count, batch + kernel.ahead + 1):
            asked.append(block.early_at if len(asked) < early else self.fetch(time, kernel.bytes))
        cached = kernel.ahead > 0 or batch < early
        self.at(max(time + self.gpu.cached_latency, asked[batch]) if cached else asked[batch], self.compute, block, warp, batch,
                asked)

    def compute(self, time, block, warp, batch, asked):
        kernel, scheduler = self.runs[block.launch].kernel, (block.processor, warp % 4)
        end = max(time, self.scheduler_free[scheduler]) + kernel.bytes * kernel.instructions / (self.gpu.clock * ISSUE)
        self.scheduler_free[scheduler] = end
        sum_over_lanes = 0.15 if (batch + 1) % kernel.batches == 0 else 0
        self.at(end + sum_over_lanes, self.load, block, warp, batch + 1, asked)

    def end(self, time, block):
        run, launch = self.runs[block.launch], block.launch
        self.registers[block.processor] += self.block_registers(run.kernel)
        self.warps[block.processor] += run.kernel.warps
        run.left -= 1
        if run.left == 0:
            run.done = time
            if launch + 1 < len(self.runs):
                after = self.runs[launch + 1]
                after.ready = time + (LAUNCH if self.gpu.early else LATE)
                if not after.open:
                    self.at(after.ready, self.open, launch + 1)
                for waiting in after.waiting:
                    self.at(after.ready, self.go, waiting)
                after.waiting = []
                self.start_next(after.ready, launch + 1)
        self.place(time)


# Of the kernels: bytes of a row of 4096, instructions a byte, turns of 2 of the loop, and registers of product, gate_up and
# attention_input.
Shape = collections.namedtuple('Shape', 'row instructions turns product gate_up attention_input')
BEFORE = {'Q4_K': Shape(2304, .124, 2, 80, 115, 128), 'Q8_0': Shape(4352, .051, 4, 56, 48, 128),
          'F16': Shape(8192, .053, 8, 52, 52, 128)}
NOW = {'Q4_K': Shape(2304, .095, 2, 64, 64, 80), 'Q8_0': Shape(4352, .042, 4, 64, 64, 80),
       'F16': Shape(8192, .047, 8, 48, 48, 80)}


def gate_up_warps(gpu, registers, blocks):
    """As the composer does: the size of blocks that leaves most warps for the last wave."""
    def last(warps):
        at_once = gpu.processors * min(REGISTERS // ((registers + 7) // 8 * 8 * 32 * warps), gpu.warps // warps)
        return ((blocks - 1) % at_once + 1) * warps
    return max((8, 4, 2), key=last)


def layer(shape, early, ahead, warps=8, split=1):
    """`split`: warps that share two rows of down, which are 3.5 times as long as those of the others."""
    batch = 2 * shape.row / shape.turns
    down_batches = math.ceil(shape.turns * 3.5 / split)
    work = dict(batches=shape.turns, bytes=batch, instructions=shape.instructions)
    first = min(early, 2 * shape.row)
    return [
        Kernel('norm', 1, 16, 40, fixed=2.0),
        Kernel('qkv', 192, 8, shape.attention_input, steps=2, early=min(2 * early, 4 * shape.row), **work),
        Kernel('split', 64, 4, 91, fixed=3.0),
        Kernel('combine', 32, 4, 28, fixed=1.5),
        Kernel('output', 512, 4, shape.product, early=first, **work),
        Kernel('route', 1, 16, 32, fixed=3.0),
        Kernel('gate_up', 896, warps, shape.gate_up, steps=32 // warps, prologue=0.9, **work),
        Kernel('down', 1024 * split, 4, shape.product, early=first, ahead=ahead, prologue=0.9,
               **dict(work, batches=down_batches, bytes=batch * shape.turns * 3.5 / split / down_batches)),
    ]


def show(gpu, text, kernels):
    """The second of two layers, as the first has none before it."""
    ends = Model(gpu, kernels * 2).run()
    times = [b - a for a, b in zip(ends[len(kernels) - 1:], ends[len(kernels):])]
    total, bytes = sum(times), sum(k.total() for k in kernels)
    parts = ', '.join(f'{k.name} {t:.1f}' for k, t in zip(kernels, times))
    print(f'| {gpu.name} | {text} | {total:.1f} | {100 * bytes / total / gpu.bandwidth:.0f} % | {parts} |', flush=True)


def main():
    print('| GPU | what | us a layer | of the bandwidth | us of each launch |\n|---|---|---|---|---|')
    for gpu in (H200, RTX_5090, A100):
        for name, now in NOW.items():
            show(gpu, f'{name}, before', layer(BEFORE[name], 0, 0))
            show(gpu, f'{name}, fewer instructions and registers', layer(now, 0, 0))
            warps = gate_up_warps(gpu, now.gate_up, 896)
            show(gpu, f'{name}, and blocks by what runs at once', layer(now, 0, 0, warps))
            if gpu.early:
                show(gpu, f'{name}, and asked for ahead', layer(now, 4608, 2 if name == 'Q4_K' else 0, warps))
                show(gpu, f'{name}, the same with rows of down split in two', layer(now, 4608, 0, warps, 2))


if __name__ == '__main__':
    main()
