// Saves a chart as a picture: PNG, made in the browser, with its title, its days and its legend.

import { draw } from '../../shell/dom.ts'
import { resolved } from './colours.ts'

/** What a picture shows beside the chart. */
export interface Words { readonly title: string; readonly subtitle: string; readonly legend: readonly (readonly [string, string])[] }

// Sharp on a slide.
const SCALE = 2
const [MARGIN, HEAD, LEGEND] = [24, 72, 24]
const PER_ROW = 4

/** Have the browser save the chart that `plot` draws at this size. Rejects where it can't draw it. */
export async function savePicture(plot: SVGElement, [width, height]: readonly [number, number], words: Words): Promise<void> {
  const rows = Math.ceil(words.legend.length / PER_ROW)
  const [wide, high] = [width + 2 * MARGIN, height + HEAD + rows * LEGEND + MARGIN]
  const whole = draw(
    'svg', { xmlns: 'http://www.w3.org/2000/svg', width: wide, height: high, viewBox: `0 0 ${wide} ${high}`, 'font-family': 'system-ui, sans-serif' },
    draw('rect', { width: wide, height: high, fill: 'var(--card)' }),
    draw('text', { x: MARGIN, y: 36, 'font-size': 20, 'font-weight': 600, fill: 'var(--ink)' }, words.title),
    draw('text', { x: MARGIN, y: 58, 'font-size': 13, fill: 'var(--soft)' }, words.subtitle),
    draw('g', { transform: `translate(${MARGIN} ${HEAD})` }, plot),
    ...words.legend.map(([name, colour], place) => entry(name, colour, place, width, HEAD + height + LEGEND / 2)),
  )
  const blob = await painted(resolved(new XMLSerializer().serializeToString(whole), seenColour), wide, high)
  const link = document.createElement('a')
  link.href = URL.createObjectURL(blob)
  link.download = `${words.title} ${words.subtitle}.png`.replaceAll(/[^\p{L}\p{N}.-]+/gu, '-')
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}

function entry(name: string, colour: string, place: number, width: number, top: number): SVGElement {
  const [x, y] = [MARGIN + (place % PER_ROW) * (width / PER_ROW), top + Math.floor(place / PER_ROW) * LEGEND]
  const short = name.length > 26 ? `${name.slice(0, 25)}…` : name
  return draw(
    'g', { transform: `translate(${x} ${y})` },
    draw('rect', { width: 12, height: 12, rx: 2, fill: colour }), draw('text', { x: 18, y: 11, 'font-size': 13, fill: 'var(--ink)' }, short),
  )
}

function seenColour(token: string): string {
  const probe = document.createElement('i')
  probe.style.color = `var(${token})`
  document.body.append(probe)
  const colour = getComputedStyle(probe).color
  probe.remove()
  return colour
}

async function painted(svg: string, width: number, height: number): Promise<Blob> {
  const image = new Image()
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`
  await image.decode()
  const canvas = document.createElement('canvas')
  ;[canvas.width, canvas.height] = [width * SCALE, height * SCALE]
  const context = canvas.getContext('2d')
  if (context === null) throw new Error('no canvas')
  context.scale(SCALE, SCALE)
  context.drawImage(image, 0, 0, width, height)
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob === null ? reject(new Error('no picture')) : resolve(blob)), 'image/png'))
}
