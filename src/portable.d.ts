// What TypeScript does not know by itself: the one word of AssemblyScript that assembly/abi.ts uses, and what
// scripts/embed.mjs makes of imports that are no code.

type u32 = number

/** A binary, as base64. */
declare module '*.wasm' {
  const base64: string
  export default base64
}

/** A script, bundled with all it needs, as text. */
declare module '*?program' {
  const script: string
  export default script
}

/** A page, as text. */
declare module '*.html' {
  const page: string
  export default page
}
