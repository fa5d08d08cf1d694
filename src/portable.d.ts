/** The one word of AssemblyScript that assembly/abi.ts uses. */
type u32 = number
