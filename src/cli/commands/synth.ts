// pagefold synth: write synthetic guests and the truth about them.

import { PAGE_SIZE } from '../../index.ts'
import {
  isSynthParameter,
  type MomentTruth,
  parseSynthParameter,
  SYNTH_PARAMETERS,
  SYNTH_PRESETS,
  type SynthParameters,
  type SynthTruth,
  writeSynthSteps,
} from '../../lab/index.ts'
import { about } from '../about.ts'
import { bold, bytes, count, percent, plural, table } from '../format.ts'
import { flag, given, integer, json, optionLines, parse, value, values } from '../options.ts'
import { print, printable, printJson } from '../output.ts'
import { Progress } from '../progress.ts'
import { csv, saveCsv } from '../save-csv.ts'
import { interruptible } from '../signals.ts'
import { UsageError } from '../usage.ts'

const PRESET_LINES = Object.entries(SYNTH_PRESETS).map(
  ([name, { summary, images, pages }]) => `  ${name.padEnd(18)} ${summary} (${images} x ${pages} pages)`,
)
const PARAMETER_LINES = Object.entries(SYNTH_PARAMETERS).map(
  ([name, { standard, help }]) => `  ${name.padEnd(14)} ${help} (${standard})`,
)

const OPTIONS = {
  out: value('DIR', 'made if it is not there'),
  pages: value('N', 'pages an image', integer(1)),
  images: value('N', 'images', integer(1)),
  seed: value('N', 'default: 1', integer(0)),
  moments: value('N', 'moments, from t0 (default: 1)', integer(1)),
  param: values('KEY=VALUE', 'a parameter of the preset (repeatable)'),
  'max-page-sharing': values(
    'N',
    'say also what ksmd counts under this limit (repeatable; default: 256)',
    integer(2),
  ),
  force: flag('overwrite what an earlier run left in DIR'),
  csv: csv('synth', 'a moment a line'),
  json: json("truth.json's object, without the layout of images,"),
}

export const help = `usage: pagefold synth PRESET --out DIR [options]

Writes raw images of synthetic guests, DIR/image-I.tT.raw for image I at moment
T, and DIR/truth.json: what the best possible merging saves at each moment, and
what ksmd counts when it has converged. Every page is hashed on its way, and
pages that were meant to be unequal and are not are an error. The same preset,
parameters and seed give the same bytes.

${optionLines(OPTIONS, 26)}

Presets:
${PRESET_LINES.join('\n')}

Parameters, with the defaults that presets start from; shares are of all pages of an image, what is left is unique:
${PARAMETER_LINES.join('\n')}

The same guests as a SOURCE, without files: synth:PRESET[,pages=N][,images=N][,seed=N][,image=I][,moment=T][,KEY=VALUE...]`

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parse(OPTIONS, args)
  const [preset, ...rest] = positionals
  if (preset === undefined) throw new UsageError('no PRESET given; see pagefold synth --help')
  if (rest.length > 0) throw new UsageError(`one PRESET at a time, got also "${rest[0]}"`)
  if (values.out === undefined) throw new UsageError('--out DIR is missing: where to write the images')
  const { pages, images, seed, moments, 'max-page-sharing': maxPageSharing } = values
  const progress = new Progress()
  const steps = writeSynthSteps({
    preset,
    dir: values.out,
    parameters: parseParameters(values.param ?? []),
    force: values.force === true,
    ...given({ pages, images, seed, moments, maxPageSharing }),
    onProgress: (done, of) => progress.show('writing', done, of, 'pages'),
  })
  const truth = await interruptible((stop) => inTurns(steps, stop)).finally(() => progress.clear())
  if (values.json) printJson(about(withoutLayouts(truth)))
  else print(describe(truth, values.out))
  await saveCsv(values.csv, 'synth', truth)
  return 0
}

/** How long nobody else has his turn. */
const TURN_MS = 50

/** Goes through the steps, and looks now and then whether a signal has come; if so, nothing is left. */
async function inTurns<Result>(steps: Generator<void, Result>, stop: AbortSignal): Promise<Result> {
  let last = performance.now()
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
    if (performance.now() - last < TURN_MS) continue
    await new Promise(setImmediate)
    last = performance.now()
    if (!stop.aborted) continue
    steps.return(undefined as never)
    throw stop.reason
  }
}

function parseParameters(settings: readonly string[]): Partial<SynthParameters> {
  const parameters: Record<string, number | string> = {}
  for (const setting of settings) {
    const [, name, value] = /^([^=]+)=(.+)$/.exec(setting) ?? []
    if (name === undefined) throw new UsageError(`--param takes KEY=VALUE, got "${setting}"`)
    if (!isSynthParameter(name))
      throw new UsageError(`--param: no parameter "${name}"; see pagefold synth --help`)
    parameters[name] = parseSynthParameter(name, value!)
  }
  return parameters as Partial<SynthParameters>
}

function withoutLayouts(truth: SynthTruth): object {
  const { classes: _, ...rest } = truth
  const moments = truth.moments.map((moment) => ({
    ...moment,
    files: moment.files.map(({ layout: _, ...file }) => file),
  }))
  return { ...rest, moments }
}

function describe({ preset, images, pages, seed, moments }: SynthTruth, dir: string): string {
  const column = (title: string, cell: (moment: MomentTruth) => string) => ({
    title,
    cells: moments.map(cell),
  })
  const size = bytes(images * pages * PAGE_SIZE)
  const files = plural(images * moments.length, 'image')
  const saved = (moment: MomentTruth, frames: number): string =>
    `${bytes(frames * PAGE_SIZE)} ${percent(frames, moment.pages).padStart(6)}`
  return [
    bold(`${preset}, seed ${seed}: ${plural(images, 'image')} of ${plural(pages, 'page')}, ${size} a moment`),
    table([
      column('moment', ({ moment }) => `t${moment}`),
      column('written', ({ pages_written }) => (pages_written === undefined ? '' : count(pages_written))),
      column('contents', ({ contents }) => count(contents)),
      column('zero pages', ({ zero_pages }) => count(zero_pages)),
      column('equal within images', (moment) => saved(moment, moment.sharing.within)),
      column('between images', (moment) => saved(moment, moment.sharing.between)),
      column('zeros', (moment) => saved(moment, moment.sharing.zero)),
      column('best possible', ({ best }) => bytes(best.bytes_saved)),
    ]),
    `${files} and truth.json are in ${printable(dir)}; every content was told apart by its SHA-256.`,
  ].join('\n\n')
}
