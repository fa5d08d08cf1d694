// examples/own/policy.mjs: which pages a scan passes over. npx pagefold scan SOURCE --policy ./policy.mjs
export default {
  name: 'restless',
  // A page that was not the same at two visits is left in peace for three scans; one that was is visited in every scan.
  skip(page) {
    if (page.age < 2 || page.unshared) return false
    page.skips = (page.skips + 1) % 4
    return page.skips !== 0
  },
}
