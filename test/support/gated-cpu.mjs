// The program of a virtual CPU on a thread of its own that does one step after another, each when it is told to or when the engine asks for a
// grace period: so the engine can be driven past a CPU that stands between a pte and its use. gated-cpu.ts tells it what to do.
import { workerData } from 'node:worker_threads'
import { CPU_ASKED, GuestMemory } from '../../dist/hypervisor.js'

const { shared, control, steps } = workerData
const memory = new GuestMemory(shared)
const words = new Int32Array(control)
const arena = new Int32Array(shared.memory.buffer)
const asked = () => Atomics.load(arena, (shared.record + CPU_ASKED) / 4)
/** Words of the control block; gated-cpu.ts has the same. */
const [DONE, OVER, VALUE, ACTED] = [0, 1, 2, 3]

let before = asked()
let pte = 0
let place = 0
try {
  memory.unpark()
  for (const [step, argument, byte] of steps) {
    if (step === 'load') pte = memory.pteAt(memory.pteAddress(argument))
    else if (step === 'keep') place = memory.pteAddress(argument)
    else if (step === 'load kept') pte = memory.pteAt(place)
    else if (step === 'note pte') Atomics.store(words, VALUE, pte)
    else if (step === 'read') Atomics.store(words, VALUE, memory.bytes[memory.hostAddress(pte, argument)])
    else if (step === 'write') memory.bytes[memory.hostAddress(pte, argument)] = byte
    else if (step === 'until asked') {
      // Or until the call is over, which did not ask then.
      while (asked() === before && Atomics.load(words, OVER) === 0);
      before = asked()
    } else if (step === 'until over') while (Atomics.load(words, OVER) === 0);
    else if (step === 'acted') Atomics.store(words, ACTED, 1)
    else if (step === 'safe point') memory.safePoint()
    else if (step === 'fault') Atomics.store(words, VALUE, memory.fault(argument, byte))
    else throw new Error(`no step ${step}`)
    Atomics.add(words, DONE, 1)
    Atomics.notify(words, DONE)
  }
  while (Atomics.load(words, OVER) === 0) memory.safePoint()
} finally {
  memory.park()
  Atomics.store(words, DONE, -1)
  Atomics.notify(words, DONE)
}
