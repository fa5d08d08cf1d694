// Numbers found by a hash: open addressing with linear probing, four bytes a place. It knows no hash but asks for them again
// when it grows.

/** No number, and a place that had one. */
const FREE = 0
const GONE = 0xffff_ffff
const FIRST_PLACES = 64

/** Holds numbers from 1 to 2^32 - 2. */
export class HashIndex {
  private readonly hashOf: (number: number) => number
  private places = new Uint32Array(FIRST_PLACES)
  private size = 0
  /** Places that are not free, those included that had a number. */
  private used = 0

  /** `hashOf`: 32 well-mixed bits of a number that is held. */
  constructor(hashOf: (number: number) => number) {
    this.hashOf = hashOf
  }

  /** Bytes that it takes. */
  get bytes(): number {
    return this.places.byteLength
  }

  /** The first number among those of this hash, and others that happen to lie there, that is accepted; else 0. */
  find(hash: number, accept: (number: number) => boolean): number {
    const { places } = this
    const last = places.length - 1
    for (let at = hash & last; ; at = (at + 1) & last) {
      const number = places[at]!
      if (number === FREE) return 0
      if (number !== GONE && accept(number)) return number
    }
  }

  insert(number: number): void {
    if (2 * (this.used + 1) > this.places.length) this.rebuild()
    this.put(number)
    this.size++
    this.used++
  }

  /** What is not held is no error. */
  remove(number: number): void {
    const { places } = this
    const last = places.length - 1
    for (let at = this.hashOf(number) & last; places[at] !== FREE; at = (at + 1) & last) {
      if (places[at] !== number) continue
      places[at] = GONE
      this.size--
      return
    }
  }

  clear(): void {
    this.places = new Uint32Array(FIRST_PLACES)
    this.size = 0
    this.used = 0
  }

  private rebuild(): void {
    const old = this.places
    let places = FIRST_PLACES
    while (places < 4 * (this.size + 1)) places *= 2
    this.places = new Uint32Array(places)
    this.used = this.size
    for (const number of old) if (number !== FREE && number !== GONE) this.put(number)
  }

  private put(number: number): void {
    const { places } = this
    const last = places.length - 1
    let at = this.hashOf(number) & last
    while (places[at] !== FREE) at = (at + 1) & last
    places[at] = number
  }
}
