from model_finetuner_compat import FineTuningConfig, ModelFineTuner, quick_finetune

config = FineTuningConfig(num_epochs=1, output_model_path="out")
config.batch_size = 8
tuner = ModelFineTuner(config)
if tuner.load_base_model():
    train, val = tuner.load_training_data("pairs.csv")
    result = tuner.fine_tune_model(train, val)
    if result["success"]:
        loss = getattr(result["training_history"][-1], "train_loss", 0.0)
        print(loss, tuner.evaluate_model(result["model_path"], "test.csv"))
print(quick_finetune("pairs.csv")["success"], tuner.list_available_models())
