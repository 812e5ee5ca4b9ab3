// Builds the pages into the Python package, from where the console serves them.

import { defineConfig } from 'vite'
import { definitions } from './build/definitions.ts'
import { notice } from './build/notice.ts'
import { weight } from './build/weight.ts'

/** Each page: the most that it may weigh, gzip, and the way from its address to where the console begins. */
const PAGES: Readonly<Record<string, { readonly most: number; readonly root: string }>> = {
  'index.html': { most: 250_000, root: './' },
  'product.html': { most: 250_000, root: '../' },
  'definitions.html': { most: 250_000, root: './' },
  'map.html': { most: 350_000, root: './' },
}

export default defineConfig({
  // Beside the page, wherever a proxy puts it.
  base: './',
  experimental: {
    renderBuiltUrl: (file, { hostId, hostType }) =>
      hostType === 'html' ? `${PAGES[hostId]?.root ?? './'}${file}` : { relative: true },
  },
  // No polyfill: browsers that have ES2022 load modules by themselves, and the policy of the page allows no inline script.
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    outDir: '../server/callhome/console/pages',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    rollupOptions: { input: Object.keys(PAGES) },
  },
  plugins: [definitions(), notice(), weight(Object.fromEntries(Object.entries(PAGES).map(([page, { most }]) => [page, most])))],
})
