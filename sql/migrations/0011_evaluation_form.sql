-- Evaluations measure images as they are and, where that is asked for, saved alike: as JPEG of one distribution of sizes
-- and qualities.
alter table evaluation_metric add column form varchar default 'as_is';  -- as_is, same_format
-- How images were saved alike, JSON: what was asked for, the sizes and qualities, what had to be enlarged or could not
-- be saved; null where the evaluation has no such form.
alter table evaluation add column same_format varchar;
