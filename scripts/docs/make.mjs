// Makes the API reference of every door from the comments in the sources: pages for a browser, under dist/docs. Fails on a
// warning, so that nothing is named that is not there and no public function is without a comment.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { doors } from '../doors.mjs'
import { install } from '../install.mjs'
import { root } from '../tool.mjs'

install('scripts/docs')
const { Application, Comment, ReflectionKind } = await import('typedoc')

const { description } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const found = doors()
const app = await Application.bootstrap({
  name: 'pagefold',
  entryPoints: found.map(({ source }) => join(root, source)),
  tsconfig: join(root, 'scripts/docs/tsconfig.json'),
  readme: 'none',
  includeVersion: true,
  sortEntryPoints: false,
  // A clone's commit would be in every link.
  disableSources: true,
  excludeInternal: true,
  excludePrivate: true,
  requiredToBeDocumented: ['Variable', 'Function', 'Class', 'Interface', 'TypeAlias', 'Method', 'Accessor'],
  validation: { notExported: true, invalidLink: true, notDocumented: true },
  treatWarningsAsErrors: true,
})
const project = await app.convert()
if (project === undefined) process.exit(1)
project.comment = comment(description)
for (const door of project.getReflectionsByKind(ReflectionKind.Module)) {
  const { packagePath } = project.getSymbolIdFromReflection(door)
  const { name, source } = found.find(({ source }) => source === packagePath)
  door.name = name
  door.comment = comment(opening(source))
}
app.validate(project)
if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1)
await app.generateDocs(project, join(root, 'dist/docs'))

function comment(text) {
  return new Comment([{ kind: 'text', text }])
}

/** The comment at the beginning of a file, that says what it is for. */
function opening(source) {
  const [, lines] = /^((?:\/\/.*\n)+)/.exec(readFileSync(join(root, source), 'utf8'))
  return lines.replace(/^\/\/ ?/gm, '')
}
