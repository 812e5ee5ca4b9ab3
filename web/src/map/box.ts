// Rectangles in a plane.

export interface Box { readonly left: number; readonly top: number; readonly right: number; readonly bottom: number }

export const width = (box: Box): number => box.right - box.left
export const height = (box: Box): number => box.bottom - box.top
export const size = (box: Box): number => Math.max(width(box), height(box))
export const centre = (box: Box): [x: number, y: number] => [(box.left + box.right) / 2, (box.top + box.bottom) / 2]

/** The smallest box around both. */
export function union(a: Box, b: Box): Box {
  return {
    left: Math.min(a.left, b.left), top: Math.min(a.top, b.top),
    right: Math.max(a.right, b.right), bottom: Math.max(a.bottom, b.bottom),
  }
}

/** Whether they have a point in common. */
export function overlap(a: Box, b: Box): boolean {
  return a.left <= b.right && b.left <= a.right && a.top <= b.bottom && b.top <= a.bottom
}

/** Whether `outer` holds all of `inner`. */
export function holds(outer: Box, inner: Box): boolean {
  return outer.left <= inner.left && outer.top <= inner.top && outer.right >= inner.right && outer.bottom >= inner.bottom
}
