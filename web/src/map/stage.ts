// A canvas over the whole stage, and how the plane lies on it.

import type { Box } from './box.ts'
import type { View } from './camera.ts'

// Beyond that many pixels, a machine without a GPU can't keep up; the picture is then stretched a little.
const MOST_PIXELS = 2_560 * 1_440

/** Where the plane lies on the screen: screen = plane × scale + (left, top), in CSS pixels. */
export interface Lie { readonly scale: number; readonly left: number; readonly top: number }

/** A view on the free part of a screen. */
export function lieOf(view: View, free: Box): Lie {
  const scale = (free.right - free.left) / view.width
  return {
    scale,
    left: (free.left + free.right) / 2 - view.x * scale,
    top: (free.top + free.bottom) / 2 - view.y * scale,
  }
}

/** What of the plane is seen on a screen of a width and height. */
export function seen(lie: Lie, width: number, height: number): Box {
  return {
    left: -lie.left / lie.scale, right: (width - lie.left) / lie.scale,
    top: -lie.top / lie.scale, bottom: (height - lie.top) / lie.scale,
  }
}

/** A canvas that is as large as its element, in CSS pixels. */
export class Layer {
  readonly context: CanvasRenderingContext2D
  width = 0
  height = 0
  private readonly canvas: HTMLCanvasElement
  private ratio = 1

  constructor(canvas: HTMLCanvasElement, opaque: boolean) {
    this.canvas = canvas
    const context = canvas.getContext('2d', { alpha: !opaque })
    if (context === null) throw new Error('this browser draws no canvas')
    this.context = context
  }

  /** Take the element's size; returns whether it has changed. */
  fit(): boolean {
    const { clientWidth, clientHeight } = this.canvas
    const ratio = Math.min(devicePixelRatio || 1, Math.sqrt(MOST_PIXELS / Math.max(1, clientWidth * clientHeight)))
    if (clientWidth === this.width && clientHeight === this.height && ratio === this.ratio) return false
    this.width = clientWidth
    this.height = clientHeight
    this.ratio = ratio
    this.canvas.width = Math.round(clientWidth * ratio)
    this.canvas.height = Math.round(clientHeight * ratio)
    return true
  }

  /** Draw in CSS pixels from here on. */
  inPixels(): void {
    this.context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0)
  }

  /** Draw in units of the plane from here on. */
  inPlane({ scale, left, top }: Lie): void {
    const ratio = this.ratio
    this.context.setTransform(scale * ratio, 0, 0, scale * ratio, left * ratio, top * ratio)
  }
}
