// What TypeScript does not know by itself: the one word of AssemblyScript that assembly/abi.ts uses, and what
// scripts/embed.mjs makes of imports that are no code.

type u32 = number

/** A binary, in hexadecimals. */
declare module '*.wasm' {
  const hex: string
  export default hex
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
