// Writes NOTICE.txt: where everything in the pages comes from, and on which terms.

import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Plugin } from 'vite'

// Of the map's data, packages that are read at build time and whose content the pages carry.
const DATA = ['world-atlas', 'i18n-iso-countries', 'cldr-core']

const HEAD = `The pages of callhome contain the following, beside callhome itself (Apache License 2.0).

The shapes of countries are made from Natural Earth (1:50m cultural vectors, admin 0 countries), which is in the public
domain; they come by way of the package world-atlas. Positions of countries without a shape are facts.

Inhabitants of countries are those of Unicode CLDR 48 (2025): rounded estimates of 2024, which it takes from the World
Bank, the United Nations and the CIA World Factbook; they come by way of the package cldr-core.
`

interface Manifest { readonly name: string; readonly version: string; readonly license?: string; readonly author?: string | { readonly name: string } }

/** Emit the notice of all packages of which a module is in the bundle. */
export function notice(): Plugin {
  return {
    name: 'notice',
    apply: 'build',
    generateBundle(_options, bundle) {
      const folders = new Set(DATA.map((name) => join('node_modules', name)))
      for (const file of Object.values(bundle)) {
        if (file.type !== 'chunk') continue
        for (const id of file.moduleIds) {
          const found = /^.*?(node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id.replaceAll('\\', '/'))
          if (found?.[1] !== undefined) folders.add(found[1])
        }
      }
      const source = [HEAD, ...[...folders].sort().map(termsOf)].join('\n')
      this.emitFile({ type: 'asset', fileName: 'NOTICE.txt', source })
    },
  }
}

/** The name, version and license of an installed package, with the license's text. */
function termsOf(folder: string): string {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest
  const author = typeof manifest.author === 'object' ? manifest.author.name : manifest.author
  const file = readdirSync(folder).find((name) => /^(licen[cs]e|copying)(\.|$)/i.test(name))
  if (file === undefined || !existsSync(join(folder, file))) throw new Error(`${folder} has no license text`)
  const title = `${manifest.name} ${manifest.version}: ${manifest.license ?? 'see below'}${author ? `, by ${author}` : ''}`
  return `${'-'.repeat(80)}\n${title}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`
}
