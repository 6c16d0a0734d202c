-- What people call an image: the nearest word of a vocabulary. Images of earlier releases get theirs from their vectors.
create table image_name (
    image_id varchar not null,
    encoder_id varchar not null,
    vocabulary varchar not null,          -- digest of the words and of how they are asked for
    name varchar not null,                -- the nearest word, however near
    margin double not null,               -- its share among all words, 0–1
    run_id varchar not null
);
-- Evaluations measure images as they are and, where that is asked for, saved alike: as JPEG of one distribution of sizes
-- and qualities.
alter table evaluation_metric add column form varchar default 'as_is';  -- as_is, same_format
-- How images were saved alike, JSON: what was asked for, the sizes and qualities, what had to be enlarged or could not
-- be saved; null where the evaluation has no such form.
alter table evaluation add column same_format varchar;
