-- Measures of an image as a picture, taken where it is decoded; null for images that were decoded before they were taken.
alter table image add column brightness_5 double;
alter table image add column brightness_99 double;
alter table image add column entropy double;
alter table image add column edge_deviation double;
alter table image add column level_deviation double;
