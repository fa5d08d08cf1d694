// What the states of pages are called.

import type { PageState } from '../../lab/states/page-state.ts'

/** In legends, tables and sentences. */
export const STATE_LABELS: Readonly<Record<PageState, string>> = {
  zero: 'zeros',
  shared_within: 'shared within the image',
  shared_between: 'shared between images',
  alone: 'merged, now alone',
  unique: 'unique',
  volatile: 'volatile',
  skipped: 'skipped by smart scan',
  sharing_limit: 'over the sharing limit',
  other_domain: 'equal in another domain',
  other_node: 'equal on another node',
  waiting: 'waiting for its equal',
  not_eligible: 'not eligible',
  absent: 'absent',
}
