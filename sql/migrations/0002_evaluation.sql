-- Evaluations: how well banks and methods tell ID from OOD on images whose side is known.
-- Their images have the role evaluation in location, source_object, listing, shard and reject, so that the views of the
-- lake never show them; their scores are rows of score like all others.

-- One evaluation: one row for each run of the command.
create table evaluation (
    run_id varchar not null,
    encoder_id varchar not null,
    protocol varchar,                     -- name of the published protocol, if it followed one
    positive varchar not null,            -- id, ood: the positive class of the headline AUPR and FPR95
    replicates integer not null,          -- of the bootstrap; 0: no intervals
    seed bigint not null
);

-- The image sets of an evaluation.
create table evaluation_set (
    run_id varchar not null,
    side varchar not null,                -- id, ood
    name varchar not null,
    near_far varchar,                     -- near, far; null for the ID set and where sets are not grouped
    sources varchar not null,             -- JSON: list of addresses
    data_count bigint not null,           -- image_count + copy_count + unreadable_count + excluded_count
    image_count bigint not null,          -- contents that were measured
    copy_count bigint not null,           -- data that repeat a content of the set
    unreadable_count bigint not null,     -- data that are no images
    excluded_count bigint not null,       -- contents left out of an OOD set because they are ID images as well
    expected_count bigint                 -- how many images the protocol's list holds
);

-- One figure of one bank and method, 0–1, with its bootstrap interval.
create table evaluation_metric (
    run_id varchar not null,
    bank_digest varchar not null,
    method_id varchar not null,
    scope varchar not null,               -- set: one OOD set; average, near, far: mean over sets; id: the ID set alone
    ood_name varchar,                     -- of scope set
    metric varchar not null,              -- auroc, aupr_id_positive, … as curator.metrics names them; id_label_accuracy
    value double not null,
    low double,                           -- of the 95 % percentile interval; null where there is none
    high double,
    id_count bigint not null,
    ood_count bigint not null
);
