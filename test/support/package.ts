// The package as npm would publish it, in an empty project: what users have, and nothing of the repository.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { scratch } from './files.ts'

export const ROOT = resolve(import.meta.dirname, '../..')

export interface Project {
  readonly dir: string
  /** Runs a script of this text in the project, as a module, or with `require` if it is named .cjs. */
  run(name: string, text: string): { code: number | null; out: string; err: string }
  /** Runs the command line. */
  pagefold(...args: string[]): { code: number | null; out: string; err: string }
}

/** The names of the files that would be published, and their sizes in bytes. */
export interface Packed {
  readonly files: readonly { readonly path: string; readonly size: number }[]
  /** Of the tarball, and of what comes out of it. */
  readonly size: number
  readonly unpackedSize: number
}

/** Packs what dist/ holds now. */
export function pack(into: string): Packed {
  const { status, stdout, stderr } = npm('pack', '--json', '--ignore-scripts', '--pack-destination', into)
  if (status !== 0) throw new Error(`npm pack failed:\n${stderr}`)
  return (JSON.parse(stdout) as Packed[])[0]!
}

/** An empty project with the package in it; `folder`: where to make it, gone after the test by default. */
export function project(folder = scratch()): Project & { readonly packed: Packed } {
  const packed = pack(folder)
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))!
  const modules = join(folder, 'node_modules')
  mkdirSync(modules)
  const { status } = spawnSync('tar', ['xzf', join(folder, tarball), '-C', modules])
  if (status !== 0) throw new Error(`tar cannot unpack ${tarball}`)
  renameSync(join(modules, 'package'), join(modules, 'pagefold'))
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n')
  const node = (...args: string[]): { code: number | null; out: string; err: string } => {
    const result = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8', timeout: 60_000 })
    return { code: result.status, out: result.stdout, err: result.stderr }
  }
  return {
    dir: folder,
    packed,
    run(name, text) {
      writeFileSync(join(folder, name), text)
      return node(name)
    },
    pagefold: (...args) => node(join(modules, 'pagefold/dist/main.js'), ...args),
  }
}

function npm(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync('npm', args, { cwd: ROOT, encoding: 'utf8', shell: process.platform === 'win32' })
}
