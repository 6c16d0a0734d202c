-- The calibration that an encoder, bank and method are measured against: that of the policy or, for a policy without one,
-- the newest.
create or replace macro ruling_calibration(of_policy, of_encoder, of_bank, of_method) as coalesce(
    of_policy,
    (
        select arg_max(calibration.calibration_id, (run.run_number, calibration.calibration_id))
        from main.calibration
        join main.run using (run_id)
        where calibration.encoder_id = of_encoder
            and calibration.bank_digest = of_bank
            and calibration.method_id = of_method
    )
);
