-- What the decoder chose or overlooked where that is not the usual, such as bands left out; null for images that were
-- decoded before this was asked.
alter table image add column remark varchar;
