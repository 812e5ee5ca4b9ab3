// Fails the build when what a page loads grows beyond its limit.

import { basename } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Plugin, Rollup } from 'vite'

type Bundle = Rollup.OutputBundle

/** `most`: for each page, such as `map.html`, the bytes of it, its scripts, styles and data together, each packed by gzip. */
export function weight(most: Readonly<Record<string, number>>): Plugin {
  return {
    name: 'weight',
    apply: 'build',
    writeBundle(_options, bundle) {
      for (const [page, limit] of Object.entries(most)) {
        const files = filesOf(page, bundle)
        const sum = files.reduce((sum, file) => sum + packed(bundle[file]), 0)
        this.info(`${page}, gzip: ${(sum / 1000).toFixed(1)} kB of ${limit / 1000} kB in ${files.length} files`)
        if (sum > limit) this.error(`${page} weighs ${sum} bytes, more than ${limit}`)
      }
    },
  }
}

/** The names of all that a page loads: itself, and whatever is named in it, or in what is named there. */
export function filesOf(page: string, bundle: Bundle): string[] {
  const found = new Set<string>()
  const open = [page]
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (found.has(name)) continue
    found.add(name)
    const text = textOf(bundle[name])
    open.push(...Object.keys(bundle).filter((other) => other.startsWith('assets/') && text.includes(basename(other))))
  }
  return [...found]
}

const textOf = (file: Bundle[string] | undefined): string => {
  if (file === undefined) throw new Error('no such file was built')
  return file.type === 'chunk' ? file.code : typeof file.source === 'string' ? file.source : new TextDecoder().decode(file.source)
}

const packed = (file: Bundle[string] | undefined): number => gzipSync(textOf(file), { level: 9 }).length
