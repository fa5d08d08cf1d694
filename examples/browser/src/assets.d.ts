// What Vite makes of imports that are no code.

/** Where the file is. */
declare module '*?url' {
  const url: string
  export default url
}

declare module '*.css'
