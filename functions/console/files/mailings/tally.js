// What the numbers of a report come to. They count profiles; a mail may be for several.

// settled is of how many the mailing knows what became of them.
export const settled = ({profiles, outcomes}) => profiles - outcomes.pending - outcomes.uncertain;

// mailed is to how many a mail went, whatever became of it.
export const mailed = ({profiles, outcomes}) => profiles - outcomes.pending - outcomes.skipped - outcomes.failed;

// share is a part in whole per cent; 100 is all, and never nearly all.
export const share = (part, all) => (all > 0 ? Math.floor((100 * part) / all) : 100);
