// Files that a command writes beside its result: what may be overwritten without asking, looked at before the work, and
// written whole or not at all after it.

import { PagefoldError } from '../errors.ts'
import { type Files, files, writeWholeBy } from '../platform.ts'

/** A kind of file that is recognised by how it begins. */
export interface FileKind {
  /** The option of the commands that names one. */
  readonly option: string
  /** `a report` */
  readonly what: string
  readonly beginning: string
}

/**
 * Makes sure that a file can be written to `path`. Throws EINVAL, ENOENT, EACCES; EEXIST for a file of another kind, such as
 * an image named by mistake; ENOTSUP where there are no files.
 */
export function expectReplaceable({ option, what, beginning }: FileKind, path: string): void {
  if (path === '') throw new PagefoldError('EINVAL', `${option} takes the name of a file`)
  const { fs, path: names } = files(`${what} in a file`)
  const folder = fs.statSync(names.dirname(path), { throwIfNoEntry: false })
  if (!folder?.isDirectory())
    throw new PagefoldError('ENOENT', `${path}: no directory ${names.dirname(path)}`)
  const exists = fs.existsSync(path)
  if (exists && !fs.statSync(path).isFile()) throw new PagefoldError('EINVAL', `${path}: not a regular file`)
  try {
    const { R_OK, W_OK } = fs.constants
    for (const place of exists ? [names.dirname(path), path] : [names.dirname(path)]) {
      fs.accessSync(place, R_OK | W_OK)
    }
  } catch (cause) {
    throw new PagefoldError('EACCES', `${path}: not allowed to write it`, { cause })
  }
  if (exists && !isReplaceable(fs, path, beginning)) {
    throw new PagefoldError(
      'EEXIST',
      `${path}: holds something else than ${what}; name another file or remove it`,
    )
  }
}

/**
 * Writes such a file and returns its size in bytes. What was there stays if this one cannot be written whole. Throws what
 * `expectReplaceable` does, EIO.
 */
export function replaceFile(kind: FileKind, path: string, text: string): number {
  const bytes = new TextEncoder().encode(text)
  replaceFileBy(kind, path, (fd) => files(kind.what).fs.writeFileSync(fd, bytes))
  return bytes.length
}

/** The same for a file that `write` writes, piece by piece, to what is open for it. Throws what `replaceFile` does. */
export function replaceFileBy(kind: FileKind, path: string, write: (fd: number) => void): void {
  expectReplaceable(kind, path)
  try {
    writeWholeBy(files(`${kind.what} in a file`), path, write)
  } catch (cause) {
    if (cause instanceof PagefoldError) throw cause
    throw new PagefoldError('EIO', `${path}: cannot be written (${(cause as NodeJS.ErrnoException).code})`, {
      cause,
    })
  }
}

/** Empty, or of an earlier run. */
function isReplaceable(fs: Files['fs'], path: string, beginning: string): boolean {
  const head = new Uint8Array(beginning.length)
  const fd = fs.openSync(path, 'r')
  try {
    const length = fs.readSync(fd, head, 0, head.length, 0)
    return length === 0 || new TextDecoder().decode(head) === beginning
  } finally {
    fs.closeSync(fd)
  }
}
