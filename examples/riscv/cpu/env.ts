// What the CPU imports from the machine. The file's name is the module's that asc looks for them in.

/** What a device's register says, of 1, 2 or 4 bytes. Below 0: there is none. (A float, for both to fit.) */
export declare function deviceLoad(hart: usize, address: u32, size: i32): f64

/** Below 0: there is no such register. Above: the machine stops. */
export declare function deviceStore(hart: usize, address: u32, size: i32, value: u32): i32
