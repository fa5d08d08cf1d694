// npx vite examples/browser, after a build: the page, with the two headers that shared memory wants.
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('.', import.meta.url))
const dist = (name) => fileURLToPath(new URL(`../../dist/${name}.js`, import.meta.url))
const headers = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
}

export default {
  root,
  base: './',
  // What a project that has installed pagefold need not say.
  resolve: {
    alias: [
      { find: /^pagefold$/, replacement: dist('index') },
      { find: /^pagefold\/(\w+)$/, replacement: dist('$1') },
    ],
  },
  // pagefold itself and the machine lie beside the page.
  server: { headers, fs: { allow: [fileURLToPath(new URL('../..', import.meta.url))] } },
  preview: { headers },
  worker: { format: 'es' },
  build: { outDir: 'build', emptyOutDir: true },
}
