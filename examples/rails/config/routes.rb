# frozen_string_literal: true

Rails.application.routes.draw do
  get "visit", to: "visits#show"
end
