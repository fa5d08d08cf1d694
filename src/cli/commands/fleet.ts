// pagefold fleet: what the contents of many hosts say together.

import { PAGE_SIZE } from '../../index.ts'
import { about } from '../about.ts'
import { askFleet } from '../fleet/fleet.ts'
import { bold, bytes, count, percent, plural, prose, table } from '../format.ts'
import type { FleetResult } from '../json.ts'
import { integer, json, optionLines, parse, value } from '../options.ts'
import { print, printable, printJson } from '../output.ts'
import { interruptible } from '../signals.ts'
import { UsageError } from '../usage.ts'

const DEFAULT_MOST = 20

const OPTIONS = {
  most: value('N', `contents to list that most guests have (default: ${DEFAULT_MOST})`, integer(0)),
  json: json(),
}

export const help = `usage: pagefold fleet DIR [options]

Joins the contents of many hosts, DIR/*.parquet, each written there by
\`pagefold census SOURCE... --key HEX --out FILE.parquet\` with the same key: what
merging saves on each host, which contents are everywhere, and what would be
saved if guests were placed by what they have in common. Needs the package
@duckdb/node-api. examples/fleet has the same questions for ClickHouse and Dask.

${optionLines(OPTIONS)}`

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parse(OPTIONS, args)
  const [dir, ...others] = positionals
  if (dir === undefined) throw new UsageError('no DIR given; see pagefold fleet --help')
  if (others.length > 0) throw new UsageError(`one DIR at a time, got also "${others[0]}"`)
  const result = about(await interruptible(() => askFleet(dir, values.most ?? DEFAULT_MOST)))
  if (values.json) printJson(result)
  else print(describe(result))
  return 0
}

/** More hosts than these are not listed. */
const SHOWN_HOSTS = 20
const SHOWN_MOVES = 10

function describe(result: FleetResult): string {
  const { hosts, guests, pages, contents, contents_on_several_hosts, bytes_saved } = result
  const shown = hosts.slice(0, SHOWN_HOSTS)
  const left = hosts.length - shown.length
  return [
    bold(
      `${plural(hosts.length, 'host')}, ${plural(guests, 'guest')}, ${plural(pages, 'page')}, ${bytes(pages * PAGE_SIZE)}`,
    ),
    [
      table([
        { title: 'host', cells: shown.map(({ host }) => printable(host)) },
        { title: 'guests', cells: shown.map(({ guests }) => count(guests)) },
        { title: 'pages', cells: shown.map(({ pages }) => count(pages)) },
        { title: 'contents', cells: shown.map(({ contents }) => count(contents)) },
        { title: 'saved', cells: shown.map(({ saved }) => bytes(saved * PAGE_SIZE)) },
        { title: 'share', cells: shown.map(({ saved, pages }) => percent(saved, pages)) },
      ]),
      ...(left > 0 ? [`and ${plural(left, 'host')} more; --json has all`] : []),
    ].join('\n'),
    prose(
      `Merging on each host saves ${bytes(bytes_saved)} (${percent(bytes_saved, pages * PAGE_SIZE)}). Of ${plural(contents, 'content')} ` +
        `${count(contents_on_several_hosts)} are on several hosts.`,
    ),
    ...describeEverywhere(result),
    describePlacement(result),
  ].join('\n\n')
}

function describeEverywhere({ everywhere }: FleetResult): string[] {
  if (everywhere.length === 0) return []
  return [
    [
      bold('Contents that most guests have, zeros apart'),
      table([
        { title: 'fingerprint', cells: everywhere.map(({ fingerprint }) => fingerprint) },
        { title: 'hosts', cells: everywhere.map(({ hosts }) => count(hosts)) },
        { title: 'guests', cells: everywhere.map(({ guests }) => count(guests)) },
        { title: 'pages', cells: everywhere.map(({ pages }) => count(pages)) },
      ]),
    ].join('\n'),
  ]
}

function describePlacement({ placement }: FleetResult): string {
  const { contents_sampled_one_in, bytes_shared_now, bytes_shared_at_random, bytes_shared_if_placed, moves } =
    placement
  const sample = contents_sampled_one_in === 1 ? '' : ` From one content in ${contents_sampled_one_in}.`
  const shown = moves
    .slice(0, SHOWN_MOVES)
    .map(({ guest, from, to }) => `  ${printable(guest)}: ${printable(from)} -> ${printable(to)}`)
  const left = moves.length - shown.length
  const rest = left > 0 ? [`  and ${plural(left, 'move')} more; --json has all`] : []
  return [
    prose(
      `Of contents that several guests have, guests save ${bytes(bytes_shared_now)} where they are, ${bytes(bytes_shared_at_random)} if they ` +
        `were placed at random, ${bytes(bytes_shared_if_placed)} if they were placed by what they have in common, as many on each host as now: ` +
        `${plural(moves.length, 'move')}.${sample}`,
    ),
    ...shown,
    ...rest,
  ].join('\n')
}
