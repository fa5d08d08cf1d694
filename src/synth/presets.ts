// The presets: mixes of pages as published measurements found them, each with what it is taken from. Where a source does
// not say a number that is needed, the number is ours; the comment says so.

import { DEFAULTS, type SynthParameters } from './parameters.ts'

/** A mix of pages as a published measurement found it. */
export interface SynthPreset {
  /** One line for people. */
  readonly summary: string
  /** How many images it has unless the user says otherwise. */
  readonly images: number
  /** Pages an image, unless the user says otherwise. */
  readonly pages: number
  /** What it is made of, defaults filled in. */
  readonly parameters: SynthParameters
  /** Moment 0 is made by a plan of the preset's own (demo.ts), not from the parameters of the mix. */
  readonly ownPlan?: true
}

const desktop: Partial<SynthParameters> = {
  zeroFrac: 0.1,
  dupFrac: 0.14,
  sharers: 'uniform:2:3',
  selfShare: 0.9,
  volatileFrac: 0.05,
  entropy: 'random:4+text:2+pointers:3+sparse:1',
}

const homogeneous: Partial<SynthParameters> = {
  zeroFrac: 0.2,
  zeroRunMean: 16,
  dupFrac: 0.55,
  sharers: 'images',
  selfShare: 0,
  dupLayout: 'runs:16',
  volatileFrac: 0.03,
  entropy: 'random:3+text:2+pointers:4+sparse:1',
}

/** All presets by name. Where each is from stands beside it in the source, and in docs/benchmarking.md. */
export const PRESETS: Readonly<Record<string, SynthPreset>> = {
  // Three small guests of one kind; its pages are recorded in tests, so it stays as it is.
  demo: preset('three small guests of one kind, to try things on', 3, 4096, { writeUnique: 0.05 }, true),

  // LKML 20230418051342.1919757-1-shr@devkernel.io: 29.5 % members of merged pages with 40.5 sharers on average and a
  // heavy tail, 9.9 % unshared, 60.6 % volatile. Zero pages are among the duplicates there, so there are none apart.
  'meta-instagram': preset(
    "workers of Instagram's hosts: heavy tail of sharers, most pages volatile",
    32,
    2048,
    {
      dupFrac: 0.295,
      sharers: 'heavy-tail:35',
      selfShare: 0.02,
      volatileFrac: 0.606,
      entropy: 'random:3+text:2+pointers:5',
    },
  ),

  // Barker et al., USENIX ATC 2012: less than 15 % of non-zero pages shared, more than 90 % of it within one machine.
  // The zero pages, which the study leaves out, are ours.
  'atc12-desktop': preset('desktops: few duplicates, nearly all within one machine', 4, 8192, desktop),
  // The same with address space randomisation, which makes pages of different machines differ: 0.7 of the part between.
  'atc12-aslr': preset('desktops with randomised addresses: less still between machines', 4, 8192, {
    ...desktop,
    dupFrac: 0.1358,
    selfShare: 0.928,
  }),

  // Difference Engine (OSDI 2008) and ESX on identical guests: about 60 % reclaimed.
  'vm-homog-idle': preset('idle guests of one kind: one kernel, the same libraries', 8, 4096, homogeneous),
  // The same, three quarters of the guests starting at once at moment 1: for advisors and smart scan. Ours.
  'boot-storm': preset('guests of one kind, most of which start at once at moment 1', 8, 4096, {
    ...homogeneous,
    bootStorm: 0.75,
  }),
  // Difference Engine and ESX in production: 7 to 33 % of different guests' pages.
  'vm-hetero': preset('different guests: some of everything', 6, 4096, {
    zeroFrac: 0.1,
    zeroRunMean: 8,
    dupFrac: 0.2,
    sharers: 'uniform:2:4',
    dupLayout: 'runs:4',
    volatileFrac: 0.08,
    churn: 0.1,
    entropy: 'random:4+text:2+pointers:3+sparse:1',
  }),

  // Para-ksm (USENIX ATC 2025): 40 guests, duplicates of 11 to 86 % of capacity, YCSB from half updates to none. The
  // middle of that range, and the share of pages an update-heavy round writes, are ours.
  'para-ksm': preset('forty guests with a key-value store under updates', 40, 1024, {
    zeroFrac: 0.05,
    dupFrac: 0.48,
    sharers: 'geometric:12',
    selfShare: 0.1,
    dupLayout: 'runs:8',
    volatileFrac: 0.2,
    volatileRate: 0.5,
    writeWords: 128,
    cowRate: 0.02,
    entropy: 'random:5+text:3+pointers:2',
  }),

  // zram, Linux commit 8e19d540: 6.06 % zero pages and 2.50 % other same-filled ones on a phone.
  'android-swap': preset("a phone's swapped pages: pages of one word", 2, 16_384, {
    zeroFrac: 0.0606,
    zeroRunMean: 2,
    sameFilledFrac: 0.025,
    entropy: 'random:3+text:2+pointers:3+sparse:2',
  }),
  // linux-mm 2024 (Meta): 10 to 20 % of swapped pages same-filled, of these less than 1 % other than zero.
  'server-zswap': preset("a server's swapped pages: zeros and hardly another word", 2, 16_384, {
    zeroFrac: 0.149,
    zeroRunMean: 2,
    sameFilledFrac: 0.001,
    entropy: 'random:3+text:2+pointers:3+sparse:2',
  }),

  // D. Hildenbrand on the prctl thread: 2 MiB of each 20 MiB process is the untouched rest of huge pages.
  'thp-sparse': preset('processes whose only equal pages are the zeros of huge pages', 8, 5120, {
    zeroFrac: 0.1,
    zeroRunMean: 512,
    writeZero: 0.02,
  }),

  // XLH and KSM++: runs of page cache appear in several guests within seconds and live less than five minutes.
  'xlh-pagecache': preset('runs of page cache that come and go in several guests at once', 8, 4096, {
    zeroFrac: 0.05,
    dupFrac: 0.3,
    sharers: 'uniform:2:8',
    selfShare: 0,
    dupLayout: 'runs:32',
    lifetime: 1,
    volatileFrac: 0.2,
    entropy: 'random:5+text:5',
  }),

  // Medes (EuroSys 2022): hardly an equal page, but equal chunks at other offsets. What merging pages cannot see.
  'serverless-similar': preset('sandboxes that are similar, not equal: beyond merging of pages', 8, 4096, {
    zeroFrac: 0.1,
    dupFrac: 0.03,
    similarFrac: 0.6,
    entropy: 'random:2+text:3+pointers:4',
  }),

  // forkd, Firecracker clones: 97 % equal to a base at the same address, then they drift apart.
  'sandbox-fork': preset('a hundred clones of one sandbox, drifting apart', 100, 512, {
    zeroFrac: 0.15,
    dupFrac: 0.82,
    dupLayout: 'same-offset',
    writeDup: 0.01,
    volatileFrac: 0.01,
    entropy: 'random:3+text:2+pointers:4+sparse:1',
  }),

  // Nothing to merge and much to trip over: pages that differ in one word no sample sees, chains of equal checksums,
  // volatile pages that go back to what they were. After UKSM's weaknesses; the numbers are ours.
  adversarial: preset('nothing to merge: near-duplicates, equal checksums, pages that flip back', 2, 4096, {
    nearFrac: 0.4,
    nearFamily: 64,
    nearAt: 'outside-sample',
    collideFrac: 0.2,
    volatileFrac: 0.2,
    flipBack: 1,
  }),
}

export const PRESET_NAMES = Object.keys(PRESETS)

function preset(
  summary: string,
  images: number,
  pages: number,
  parameters: Partial<SynthParameters>,
  ownPlan = false,
): SynthPreset {
  const all = { ...DEFAULTS, ...parameters }
  return { summary, images, pages, parameters: all, ...(ownPlan ? { ownPlan } : {}) }
}
