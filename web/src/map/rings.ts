// Outlines in the plane.

export type Ring = readonly (readonly [x: number, y: number])[]

/** Whether a point lies within a ring: a ray to the right crosses it an odd number of times. */
export function inside(ring: Ring, x: number, y: number): boolean {
  let odd = false
  let [lastX, lastY] = ring[ring.length - 1] ?? [NaN, NaN]
  for (const [nextX, nextY] of ring) {
    if (nextY > y !== lastY > y && x < ((lastX - nextX) * (y - nextY)) / (lastY - nextY) + nextX) odd = !odd
    lastX = nextX
    lastY = nextY
  }
  return odd
}
