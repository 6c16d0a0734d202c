-- The versioned references: which images that are known to be ID, scored under which bank and method.
create or replace view report.calibrations as
select
    calibration.calibration_id,
    bank.name as bank_name,
    bank.version as bank_version,
    calibration.method_id,
    calibration.image_count,
    calibration.reference_digest,
    calibration.sources,
    calibration.created_at,
    calibration.encoder_id,
    calibration.bank_digest
from main.calibration
left join main.bank on bank.bank_digest = calibration.bank_digest;
