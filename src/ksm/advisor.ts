// The scan-time advisor: chooses pages_to_scan after every full scan so that the next takes about the time asked for and
// no more than the processor share allowed. Whole numbers throughout; every division truncates, as in the kernel.
//
// Linux: scan_time_advisor()

/** How much of the estimate the latest scan makes up, in percent. Linux: EWMA_WEIGHT */
const EWMA_WEIGHT = 30
/** Always worth this much of a processor, in percent. Linux: KSM_ADVISOR_MIN_CPU */
const MIN_CPU = 10
const MS_PER_S = 1000

/** What the user asks for. */
export interface AdvisorGoals {
  /** Seconds a full scan should take. */
  readonly targetScanTime: number
  /** Percent of a processor. */
  readonly maxCpu: number
  readonly maxPagesToScan: number
}

export interface Advice {
  readonly scanTime: number
  readonly pagesToScan: number
  readonly cpuPercent: number
}

export class Advisor {
  #startedMs = 0
  /** Of the scan before, s; 0 before the first. */
  #scanTime = 0
  /** Smoothed change of the scan time, percent. */
  #change = 0
  #cpuMs = 0

  /** Forgets everything, even when the scan under way began: switched on in its middle, the first estimate is wild. */
  reset(): void {
    this.#startedMs = 0
    this.#scanTime = 0
    this.#change = 0
    this.#cpuMs = 0
  }

  /** A full scan begins. Linux: advisor_start_scan() */
  start(nowMs: number): void {
    this.#startedMs = nowMs
  }

  /**
   * A full scan has ended: how many pages should a batch have from now on? Times in ms of the host's clock.
   * Linux: advisor_stop_scan()
   */
  stop(nowMs: number, cpuMs: number, pagesToScan: number, goals: AdvisorGoals): Advice {
    const scanTime = Math.max(1, Math.trunc((nowMs - this.#startedMs) / MS_PER_S))
    const cpuPercent = Math.max(
      1,
      Math.trunc((Math.trunc(cpuMs - this.#cpuMs) * 100) / (scanTime * MS_PER_S)),
    )
    const last = this.#scanTime === 0 ? scanTime : this.#scanTime
    const factor = Math.max(1, Math.trunc((goals.targetScanTime * 100) / scanTime))
    const latestChange = Math.max(1, Math.trunc((scanTime * 100) / last))
    const change = Math.trunc(((100 - EWMA_WEIGHT) * this.#change + EWMA_WEIGHT * latestChange) / 100)
    const wanted = Math.trunc((Math.trunc((pagesToScan * 100) / factor) * change) / 100)
    const perPercent = Math.max(1, Math.trunc(pagesToScan / cpuPercent))
    const affordable = Math.max(Math.min(wanted, perPercent * goals.maxCpu), perPercent * MIN_CPU)
    this.#scanTime = scanTime
    this.#change = change
    this.#cpuMs = cpuMs
    return { scanTime, pagesToScan: Math.min(affordable, goals.maxPagesToScan), cpuPercent }
  }
}
