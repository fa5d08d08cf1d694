// Memory used and memory saved, over the last two minutes.

import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import type { Picture } from './protocol.ts'

const SECONDS = 120
const HEIGHT = 150
const MIB = 4096 / 2 ** 20

export class Chart {
  private readonly parent: HTMLElement
  private readonly x: number[] = []
  private readonly used: number[] = []
  private readonly saved: number[] = []
  private plot: uPlot

  constructor(parent: HTMLElement) {
    this.parent = parent
    this.plot = this.make()
    new ResizeObserver(() => this.plot.setSize({ width: parent.clientWidth, height: HEIGHT })).observe(parent)
  }

  add({ seconds, usedFrames, counters }: Picture): void {
    this.x.push(seconds)
    this.used.push(usedFrames * MIB)
    this.saved.push(counters.pages_sharing * MIB)
    const first = this.x.findIndex((at) => at > seconds - SECONDS)
    for (const values of [this.x, this.used, this.saved]) values.splice(0, first)
    this.plot.setData([this.x, this.used, this.saved])
  }

  /** To be called when the page has other colours. */
  readColours(): void {
    this.plot.destroy()
    this.plot = this.make()
  }

  private make(): uPlot {
    const style = getComputedStyle(document.documentElement)
    const colour = (name: string) => style.getPropertyValue(name).trim()
    const axis = {
      stroke: colour('--ink-soft'),
      grid: { stroke: colour('--line') },
      ticks: { show: false },
      size: 34,
    }
    const line = (label: string, stroke: string) => ({
      label,
      stroke: colour(stroke),
      width: 2,
      points: { show: false },
    })
    const options: uPlot.Options = {
      width: Math.max(200, this.parent.clientWidth),
      height: HEIGHT,
      cursor: { show: false },
      legend: { show: false },
      scales: { x: { time: false }, y: { range: (_, __, most) => [0, Math.max(1, most * 1.05)] } },
      axes: [
        { ...axis, values: (_, ticks) => ticks.map((tick) => `${tick} s`) },
        { ...axis, size: 60, values: (_, ticks) => ticks.map((tick) => `${tick} MiB`) },
      ],
      series: [{}, line('used', '--series-2'), line('saved', '--series-1')],
    }
    return new uPlot(options, [this.x, this.used, this.saved], this.parent)
  }
}
