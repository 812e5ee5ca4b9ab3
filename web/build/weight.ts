// Fails the build when what a page loads grows beyond its limit.

import { gzipSync } from 'node:zlib'
import type { Plugin } from 'vite'

/** `most`: bytes of all pages, scripts, styles and data together, each packed by gzip. */
export function weight(most: number): Plugin {
  return {
    name: 'weight',
    apply: 'build',
    writeBundle(_options, bundle) {
      let sum = 0
      for (const file of Object.values(bundle)) {
        if (file.fileName.endsWith('.txt')) continue
        sum += gzipSync(file.type === 'asset' ? file.source : file.code, { level: 9 }).length
      }
      this.info(`page weight, gzip: ${(sum / 1000).toFixed(1)} kB of ${most / 1000} kB`)
      if (sum > most) this.error(`the page weighs ${sum} bytes, more than ${most}`)
    },
  }
}
